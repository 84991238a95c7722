/** The limits of teams as they are typed: a number, or nothing for no limit. */
import type { QuotaLimits } from '../api/types';
import { formatMb } from '../format';
import { parseWholeNumber } from '../forms/whole-number';
import { texts } from '../texts';

export type QuotaName = keyof QuotaLimits;

/** Exactly what stands in the fields. */
export type QuotaForm = Record<QuotaName, string>;
export type QuotaProblems = Partial<Record<QuotaName, string>>;

export const QUOTA_NAMES = Object.keys(texts.usage.resources) as readonly QuotaName[];

/** Limits of sizes are in MB, the others are counts. */
export function isSize(name: QuotaName): boolean {
	return name.endsWith('_mb');
}

export function formOf(quota: QuotaLimits): QuotaForm {
	return build((name) => (quota[name] == null ? '' : String(quota[name])));
}

/** The limits, or what is wrong with them. The server alone knows how large they can be. */
export function parseQuota(
	form: QuotaForm
): { ok: true; quota: Required<QuotaLimits> } | { ok: false; problems: QuotaProblems } {
	const problems: QuotaProblems = {};
	const quota = build((name) => {
		if (form[name].trim() === '') return null;
		const parsed = parseWholeNumber(form[name], texts.usage.resources[name], { minimum: 0 });
		if ('value' in parsed) return parsed.value;
		problems[name] = parsed.problem;
		return null;
	});
	return Object.keys(problems).length === 0 ? { ok: true, quota } : { ok: false, problems };
}

/** The fields in which something else stands than what is known. */
export function changesOf(form: QuotaForm, quota: QuotaLimits): readonly QuotaName[] {
	const known = formOf(quota);
	return QUOTA_NAMES.filter((name) => form[name].trim() !== known[name]);
}

/** `no limit`, `4`, `2 GB`. */
export function limitText(name: QuotaName, limit: number | null | undefined): string {
	if (limit == null) return texts.platform.settings.quota.noLimit;
	return isSize(name) ? formatMb(limit) : limit.toLocaleString('en');
}

function build<T>(value: (name: QuotaName) => T): Record<QuotaName, T> {
	return Object.fromEntries(QUOTA_NAMES.map((name) => [name, value(name)])) as Record<QuotaName, T>;
}
