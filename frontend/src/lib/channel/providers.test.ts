import { expect, it } from 'vitest';
import { texts } from '../texts';
import { checkConfig, configOf, fieldsOf, PROVIDERS } from './providers';

const { problems, fields } = texts.channel;

it('knows the fields of every provider', () => {
	expect(PROVIDERS).toHaveLength(7);
	for (const provider of PROVIDERS) expect(fieldsOf(provider).length).toBeGreaterThan(0);
	expect(fieldsOf('matrix').map(({ name }) => name)).toEqual([
		'homeserver_url',
		'access_token',
		'room_id'
	]);
});

it('sends what the provider has, and nothing that is empty', () => {
	const typed = { url: 'https://a.test', bot_token: ' 1:a ', chat_id: '-5', api_url: ' ' };
	expect(configOf('telegram', typed)).toEqual({ bot_token: '1:a', chat_id: '-5' });
	expect(configOf('webhook', typed)).toEqual({ url: 'https://a.test' });
});

it('names the field that is missing or cannot be right', () => {
	expect(checkConfig('webhook', {})).toEqual({ url: problems.missing(fields.url) });
	expect(checkConfig('slack', { webhook_url: 'hooks.slack.test' })).toEqual({
		webhook_url: problems.address
	});
	expect(checkConfig('telegram', { bot_token: 'abc', chat_id: '1', api_url: 'ftp://x' })).toEqual({
		bot_token: problems.botToken,
		api_url: problems.address
	});
	const matrix = { homeserver_url: 'https://m.test', access_token: 't', room_id: '#room:m.test' };
	expect(checkConfig('matrix', matrix)).toEqual({ room_id: problems.roomId });
	expect(checkConfig('matrix', { ...matrix, room_id: '!r:m.test' })).toEqual({});
});
