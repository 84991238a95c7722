# packages: ripgrep fd-find vim-tiny less man-db
# Tools of developers: a search without a path looks into the folder, not into its input.
mkdir /tree && cd /tree && echo needle >file
rg needle | grep file
fdfind file | grep file
printf 'ihello\033:wq\n' >/keys && vim.tiny -N -u NONE -s /keys /tree/new >/dev/null 2>&1 && grep -x hello /tree/new
