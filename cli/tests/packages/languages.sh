# packages: ruby sqlite3 lua5.4 perl tcl jq
# Small languages, each with a line.
ruby -e 'puts "grüße".length' | grep -x 5
lua5.4 -e 'print(6 * 7)' | grep -x 42
perl -MPOSIX -e 'print POSIX::floor(42.5), "\n"' | grep -x 42
echo 'puts [expr {6 * 7}]' | tclsh | grep -x 42
sqlite3 :memory: 'SELECT 6 * 7' | grep -x 42
echo '{"a": [40, 2]}' | jq '.a | add' | grep -x 42
