import { expect, it } from 'vitest';
import { parsePort, previewAddress, previewLink } from './links';

const capsule = {
	preview_url: 'http://{port}-cl-1.localhost:8080',
	preview_access: 'token',
	preview_token: 'se+cret'
} as const;

it('takes ports and nothing else', () => {
	expect(parsePort(' 8080 ')).toEqual({ port: 8080 });
	expect(parsePort('65535')).toEqual({ port: 65_535 });
	for (const text of ['', '0', '65536', '-1', '80.5', '1e3', 'http']) {
		expect(parsePort(text)).toHaveProperty('problem');
	}
});

it('carries the token only where one is asked for', () => {
	expect(previewAddress(capsule, 8080)).toBe('http://8080-cl-1.localhost:8080');
	expect(previewLink(capsule, 8080)).toBe('http://8080-cl-1.localhost:8080/?wrenn_token=se%2Bcret');
	expect(previewLink({ ...capsule, preview_access: 'public' }, 80)).toBe(
		'http://80-cl-1.localhost:8080/'
	);
});
