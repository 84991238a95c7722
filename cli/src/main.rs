//! The binary; see the library for what it does.

fn main() -> std::process::ExitCode {
    wrenn_cli::main()
}
