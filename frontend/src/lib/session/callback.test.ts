import { expect, it } from 'vitest';
import { parseReturn } from './callback';

it('reads a session', () => {
	const fragment =
		'#token=a.b.c&user_id=usr-1&team_id=&email=ada%40example.org&name=Ada+L&is_admin=true';
	expect(parseReturn(fragment)).toEqual({
		kind: 'signed in',
		answer: {
			token: 'a.b.c',
			user_id: 'usr-1',
			team_id: '',
			email: 'ada@example.org',
			name: 'Ada L',
			is_admin: true
		}
	});
});

it('reads what was connected, and what went wrong', () => {
	expect(parseReturn('#connected=github')).toEqual({ kind: 'connected', provider: 'github' });
	const failed = parseReturn('#error=conflict&message=sign+in+first');
	expect(failed).toMatchObject({ error: { code: 'conflict', message: 'sign in first' } });
});

it('takes nothing for a session that is none', () => {
	for (const odd of ['', '#', '#token=a', '#user_id=usr-1']) {
		expect(parseReturn(odd)).toMatchObject({ kind: 'failed', error: { code: 'bad_response' } });
	}
});
