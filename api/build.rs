//! Makes sure that there is something to embed: `frontend/build`, or a page that says how to make it.

use std::{fs, io, path::Path};

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Wrenn</title>
<h1>Wrenn</h1>
<p>This server was built without its dashboard: run <code>npm ci</code> and <code>npm run build</code> in
<code>frontend/</code>, then build it again.
<p>The API is there: see <a href=\"/docs/\">its documentation</a>.
</html>
";

fn main() -> io::Result<()> {
    let folder = Path::new("../frontend/build");
    println!("cargo::rerun-if-changed={}", folder.display());
    let index = folder.join("index.html");
    if !index.exists() {
        fs::create_dir_all(folder)?;
        fs::write(index, PLACEHOLDER)?;
    }
    Ok(())
}
