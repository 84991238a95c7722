/**
 * The form for a new build: the input, and the request that it makes.
 *
 * The form checks the limits of the API. The server alone parses recipes: its error is shown at the
 * field and the line that it names.
 */
import type { ApiError } from '../api/errors';
import { limits } from '../api/limits';
import type { BuildHead, CreateBuildRequest } from '../api/types';
import { formatSize } from '../format';
import { templateNameProblem } from '../template/name';
import { parseWholeNumber } from '../forms/whole-number';
import { texts } from '../texts';

export const MAX_ARCHIVE_BYTES = 100 * 1024 * 1024;
export const ARCHIVE_ENDINGS = ['.tar', '.tar.gz', '.tgz', '.zip'];

const LIMITS = limits.CreateBuildRequest;

const words = texts.build;

const NUMBER_LABELS = {
	vcpus: words.vcpus,
	memory_mb: words.memory,
	disk_size_mb: words.disk
} as const;

type NumberField = keyof typeof NUMBER_LABELS;
type TextField = 'name' | 'base_template' | 'recipe' | 'healthcheck';
export type BuildField = TextField | NumberField | 'archive';

/** Exactly what stands in the inputs. */
export interface BuildForm extends Record<TextField | NumberField, string> {
	skip_pre_post: boolean;
	no_cache: boolean;
}

export interface Problem {
	text: string;
	/** Of the recipe, counted from 1. */
	line: number | null;
}
export type BuildProblems = Partial<Record<BuildField, Problem>>;

export type ParsedBuildForm =
	{ ok: true; request: CreateBuildRequest } | { ok: false; problems: BuildProblems };

export const DEFAULT_BUILD_FORM: Readonly<BuildForm> = {
	name: '',
	base_template: LIMITS.base_template.default,
	recipe: '',
	healthcheck: '',
	vcpus: String(LIMITS.vcpus.default),
	memory_mb: String(LIMITS.memory_mb.default),
	disk_size_mb: String(LIMITS.disk_size_mb.default),
	skip_pre_post: LIMITS.skip_pre_post.default,
	no_cache: LIMITS.no_cache.default
};

/** Returns what to type to get the same build again. */
export function formOf(build: BuildHead): BuildForm {
	return {
		name: build.name,
		base_template: build.base_template,
		recipe: build.recipe.join('\n'),
		healthcheck: build.healthcheck ?? '',
		vcpus: String(build.vcpus),
		memory_mb: String(build.memory_mb),
		disk_size_mb: String(build.disk_size_mb),
		skip_pre_post: build.skip_pre_post,
		no_cache: build.no_cache
	};
}

export function parseBuildForm(
	form: BuildForm,
	archive: { name: string; size: number } | null
): ParsedBuildForm {
	const problems: BuildProblems = {};
	const note = (field: BuildField, text: string | null) => {
		if (text !== null) problems[field] = { text, line: null };
	};
	const number = (field: NumberField): number => {
		const parsed = parseWholeNumber(form[field], NUMBER_LABELS[field], LIMITS[field]);
		if ('value' in parsed) return parsed.value;
		note(field, parsed.problem);
		return NaN;
	};

	const name = form.name.trim();
	note('name', templateNameProblem(name));
	if (form.base_template === '') note('base_template', words.problems.base);
	if (archive) note('archive', archiveProblem(archive));
	const healthcheck = form.healthcheck.trim();
	const request: CreateBuildRequest = {
		name,
		base_template: form.base_template,
		// In one piece: its lines are counted, and may go on in the next one.
		recipe: form.recipe.replaceAll('\r\n', '\n'),
		...(healthcheck === '' ? {} : { healthcheck }),
		vcpus: number('vcpus'),
		memory_mb: number('memory_mb'),
		disk_size_mb: number('disk_size_mb'),
		skip_pre_post: form.skip_pre_post,
		no_cache: form.no_cache
	};
	return Object.keys(problems).length === 0 ? { ok: true, request } : { ok: false, problems };
}

/** Why a file cannot be the archive; null if it can. */
export function archiveProblem({ name, size }: { name: string; size: number }): string | null {
	if (!ARCHIVE_ENDINGS.some((ending) => name.toLowerCase().endsWith(ending))) {
		return words.problems.archiveKind(name, ARCHIVE_ENDINGS.join(', '));
	}
	if (size > MAX_ARCHIVE_BYTES) {
		return words.problems.archiveSize(formatSize(size), formatSize(MAX_ARCHIVE_BYTES));
	}
	return null;
}

const FIELDS: readonly BuildField[] = [
	'name',
	'base_template',
	'recipe',
	'healthcheck',
	'vcpus',
	'memory_mb',
	'disk_size_mb',
	'archive'
];

/** The field that an answer of the server is about, as it names it: `recipe: line 3: RUN: …`. */
export function problemsOf(error: ApiError): BuildProblems {
	const [, name, text] = /^(\w+): (.+)$/s.exec(error.message) ?? [];
	const field = FIELDS.find((field) => field === name);
	if (!field || text === undefined) return {};
	const line = field === 'recipe' ? /^line (\d+):/.exec(text)?.[1] : undefined;
	return { [field]: { text, line: line === undefined ? null : Number(line) } };
}
