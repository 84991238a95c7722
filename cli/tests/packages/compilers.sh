# packages: build-essential cmake gdb strace
# A project in C and C++, built by make and cmake, traced and debugged.
mkdir /project && cd /project
printf '%s\n' '#include <stdio.h>' 'int main(void) { puts("from c"); return 7; }' >main.c
printf '%s\n' '#include <iostream>' 'int main() { std::cout << "from c++\n"; }' >other.cc
printf '%s\n' 'project(test)' 'add_executable(one main.c)' 'add_executable(two other.cc)' >CMakeLists.txt
cmake -S . -B out >/dev/null 2>&1 && make -C out >/dev/null
./out/two | grep 'from c++'
{ strace -f -e trace=write ./out/one 2>&1 || true; } | grep 'write(1, "from c'
{ gdb -batch -ex run -ex 'print $_exitcode' ./out/one 2>/dev/null || true; } | grep '= 7'
