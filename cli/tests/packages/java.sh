# packages: openjdk-17-jdk-headless
# A program is compiled and run; text beyond ASCII stays as it is.
cat >/Main.java <<'END'
public class Main { public static void main(String[] args) { System.out.println("grüße " + Runtime.version().feature()); } }
END
cd / && javac Main.java && java Main | grep -x 'grüße 17'
