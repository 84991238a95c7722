# packages: imagemagick fonts-dejavu-core ghostscript
# A picture with text, as PNG and as PDF.
convert -size 100x40 xc:white -font DejaVu-Sans -pointsize 20 -draw 'text 5,25 "42"' /picture.png
identify /picture.png | grep 'PNG 100x40'
gs -q -dNOPAUSE -dBATCH -sDEVICE=pdfwrite -sOutputFile=/page.pdf -c showpage
head -c 5 /page.pdf | grep PDF
