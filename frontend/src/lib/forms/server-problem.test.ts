import { expect, it } from 'vitest';
import { ApiError } from '../api/errors';
import { serverProblem, withoutField } from './server-problem';

const error = (message: string) => new ApiError('invalid_request', message, 400);

it('takes the message that is about the field', () => {
	expect(serverProblem(error('code: the code is wrong'), 'code')).toBe('The code is wrong.');
});

it('leaves the others alone', () => {
	expect(serverProblem(error('totp_code: is wrong'), 'code')).toBeNull();
	expect(serverProblem(error('the code is wrong'), 'code')).toBeNull();
	expect(serverProblem(null, 'code')).toBeNull();
});

it('hides the name of what nobody typed', () => {
	expect(withoutField(error('token: is not valid'), 'token')).toMatchObject({
		code: 'invalid_request',
		message: 'Is not valid.',
		status: 400
	});
	const other = error('the server is busy');
	expect(withoutField(other, 'token')).toBe(other);
});
