//! Compiles the `.proto` files with a compiler in Rust, so that no `protoc` has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::configure()
        // What is only passed on is not copied.
        .bytes(".wrenn.guest.v1")
        .bytes(".wrenn.agent.v1.TemplatePart")
        .bytes(".wrenn.agent.v1.TemplateHead")
        .bytes(".wrenn.agent.v1.TemplateExtent")
        .bytes(".wrenn.agent.v1.TemplateEnd")
        .compile_fds(protox::compile(["guest.proto", "agent.proto"], ["proto"])?)?;
    Ok(())
}
