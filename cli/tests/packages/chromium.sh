# packages: chromium
# A page whose text a script has written, as a document and as a picture.
echo '<p id=p></p><script>p.textContent = 6 * 7</script>' >/page.html
chrome() { timeout 400 chromium --headless --no-sandbox --disable-gpu --disable-background-networking --virtual-time-budget=2000 "$@" file:///page.html; }
chrome --dump-dom 2>/dev/null | grep '<p id="p">42</p>'
chrome --screenshot=/page.png >/dev/null 2>&1
head -c 4 /page.png | grep PNG
