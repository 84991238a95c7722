//! x
/// x
pub async fn run() -> anyhow::Result<()> {
    let mut end = crate::process::EndSignal::listen()?;
    end.received().await;
    Ok(())
}
