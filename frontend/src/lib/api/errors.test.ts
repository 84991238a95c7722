import { describe, expect, it } from 'vitest';
import { ApiError, isAbort, refusalIn, unwrap } from './errors';

const answer = (status: number, rest: object) =>
	Promise.resolve({ response: new Response(null, { status }), ...rest });

describe('unwrap', () => {
	it('returns the data of a success', async () => {
		await expect(unwrap(answer(200, { data: [1, 2] }))).resolves.toEqual([1, 2]);
	});

	it('returns nothing for an answer without content', async () => {
		await expect(unwrap(answer(204, {}))).resolves.toBeUndefined();
	});

	it('keeps code and message of a contract error', async () => {
		const error = { error: { code: 'invalid_state', message: 'capsule is pausing' } };
		await expect(unwrap(answer(409, { error }))).rejects.toMatchObject({
			code: 'invalid_state',
			message: 'capsule is pausing',
			status: 409
		});
	});

	it('survives error pages that are not JSON', async () => {
		await expect(unwrap(answer(502, { error: '<h1>Bad gateway</h1>' }))).rejects.toMatchObject({
			code: 'bad_response',
			status: 502
		});
	});

	it('calls a failed fetch unreachable', async () => {
		const failed = Promise.reject(new TypeError('Failed to fetch'));
		await expect(unwrap(failed)).rejects.toBeInstanceOf(ApiError);
		await expect(unwrap(failed)).rejects.toMatchObject({ code: 'unreachable', status: 0 });
	});

	it('passes an abort on untouched', async () => {
		const abort = new DOMException('given up', 'AbortError');
		const thrown = await unwrap(Promise.reject(abort)).catch((error: unknown) => error);
		expect(thrown).toBe(abort);
		expect(isAbort(thrown)).toBe(true);
	});
});

it('tells the end of a session from other refusals', () => {
	expect(refusalIn(new ApiError('unauthorized', 'no', 401))).toBe('expired');
	expect(refusalIn(new ApiError('account_disabled', 'no', 403))).toBe('disabled');
	expect(refusalIn(new ApiError('forbidden', 'no', 403))).toBeNull();
});
