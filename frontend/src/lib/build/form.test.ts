import { describe, expect, it } from 'vitest';
import { ApiError } from '../api/errors';
import { limits } from '../api/limits';
import {
	archiveProblem,
	DEFAULT_BUILD_FORM,
	formOf,
	MAX_ARCHIVE_BYTES,
	parseBuildForm,
	problemsOf
} from './form';
import { build } from './testing';

const FORM = { ...DEFAULT_BUILD_FORM, name: ' python ', recipe: 'RUN a \\\r\n  b\n' };
const DEFAULTS = {
	base_template: 'minimal',
	vcpus: 1,
	memory_mb: 512,
	disk_size_mb: 5120,
	skip_pre_post: false,
	no_cache: false
};

describe('parseBuildForm', () => {
	it('sends the recipe in one piece, so that lines go on and are counted', () => {
		expect(parseBuildForm(FORM, null)).toEqual({
			ok: true,
			request: { ...DEFAULTS, name: 'python', recipe: 'RUN a \\\n  b\n' }
		});
	});

	it('leaves out what is empty', () => {
		const parsed = parseBuildForm({ ...FORM, recipe: '', healthcheck: '  ' }, null);
		expect(parsed).toEqual({ ok: true, request: { ...DEFAULTS, name: 'python', recipe: '' } });
	});

	it('names every field that cannot be right', () => {
		const parsed = parseBuildForm(
			{ ...FORM, name: 'Not a name', base_template: '', vcpus: '0', memory_mb: 'x', disk_size_mb: '' },
			{ name: 'files.rar', size: 1 }
		);
		expect(parsed.ok).toBe(false);
		expect(parsed.ok || Object.keys(parsed.problems).sort()).toEqual([
			'archive',
			'base_template',
			'disk_size_mb',
			'memory_mb',
			'name',
			'vcpus'
		]);
	});

	it('refuses numbers outside the limits of the API', () => {
		const labels = { vcpus: 'vCPUs', memory_mb: 'Memory', disk_size_mb: 'Disk' };
		for (const [field, label] of Object.entries(labels)) {
			const { minimum, maximum } = limits.CreateBuildRequest[field as keyof typeof labels];
			const parse = (value: number) => parseBuildForm({ ...FORM, [field]: String(value) }, null);
			const refused = (text: string) => ({ ok: false, problems: { [field]: { text, line: null } } });
			expect(parse(minimum).ok, field).toBe(true);
			expect(parse(maximum).ok, field).toBe(true);
			expect(parse(minimum - 1)).toEqual(refused(`${label} must be at least ${minimum}.`));
			expect(parse(maximum + 1)).toEqual(refused(`${label} must be at most ${maximum}.`));
		}
	});

	it('needs a name', () => {
		expect(parseBuildForm(DEFAULT_BUILD_FORM, null).ok).toBe(false);
	});
});

it('archiveProblem looks at kind and size', () => {
	for (const name of ['a.tar', 'a.TAR.GZ', 'a.tgz', 'a.b.zip']) {
		expect(archiveProblem({ name, size: MAX_ARCHIVE_BYTES })).toBeNull();
	}
	expect(archiveProblem({ name: 'a.gz', size: 1 })).toContain('no archive');
	expect(archiveProblem({ name: 'a.zip', size: MAX_ARCHIVE_BYTES + 1 })).toContain('100 MB');
});

it('formOf gives the same build again', () => {
	const before = build({ recipe: ['RUN a', 'RUN b'], healthcheck: 'true', no_cache: true });
	const parsed = parseBuildForm(formOf(before), null);
	expect(parsed).toEqual({
		ok: true,
		request: {
			...DEFAULTS,
			name: 'python',
			recipe: 'RUN a\nRUN b',
			healthcheck: 'true',
			no_cache: true
		}
	});
});

describe('problemsOf', () => {
	const said = (message: string) => problemsOf(new ApiError('invalid_request', message, 400));

	it('finds the field, and the line of the recipe', () => {
		expect(said('recipe: line 3: RUN: nothing follows; write `RUN command`')).toEqual({
			recipe: { text: 'line 3: RUN: nothing follows; write `RUN command`', line: 3 }
		});
		expect(said('recipe: must not be empty')).toEqual({
			recipe: { text: 'must not be empty', line: null }
		});
		expect(said('healthcheck: line 2: x')).toEqual({
			healthcheck: { text: 'line 2: x', line: null }
		});
		expect(said('memory_mb: must be from 128 to 4096, not 9')).toHaveProperty('memory_mb');
	});

	it('leaves everything else to the form', () => {
		expect(said('a build of that name is pending')).toEqual({});
		expect(said('weather: too bad')).toEqual({});
	});
});
