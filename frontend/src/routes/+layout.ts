// Everything is rendered in the browser: the server only hands out files.
export const ssr = false;
export const prerender = false;
