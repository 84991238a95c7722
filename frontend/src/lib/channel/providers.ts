/**
 * Fields of the configuration of each kind of receiver, and which values can be sent.
 *
 * The server decides (docs/notifications.md); this says what is wrong beside the field, before a secret is sent.
 */
import type { ChannelEvent, ChannelProvider } from '../api/types';
import { texts } from '../texts';

const { fields: labels, hints, problems } = texts.channel;

export type ConfigField = keyof typeof labels;
export type Config = Partial<Record<ConfigField, string>>;

export interface FieldSpec {
	name: ConfigField;
	/** Hidden while it is typed. */
	isSecret: boolean;
	isOptional: boolean;
	hint?: string;
	check: 'address' | 'botToken' | 'roomId' | 'text';
}

function field(
	name: ConfigField,
	check: FieldSpec['check'],
	rest: Partial<Pick<FieldSpec, 'isSecret' | 'isOptional' | 'hint'>> = {}
): FieldSpec {
	return { name, check, isSecret: false, isOptional: false, ...rest };
}

const WEBHOOK_URL = [field('webhook_url', 'address', { hint: hints.webhookUrl })];

const FIELDS: Record<ChannelProvider, readonly FieldSpec[]> = {
	webhook: [field('url', 'address', { hint: hints.signed })],
	slack: WEBHOOK_URL,
	discord: WEBHOOK_URL,
	teams: WEBHOOK_URL,
	googlechat: WEBHOOK_URL,
	telegram: [
		field('bot_token', 'botToken', { isSecret: true }),
		field('chat_id', 'text'),
		field('api_url', 'address', { isOptional: true, hint: hints.apiUrl })
	],
	matrix: [
		field('homeserver_url', 'address'),
		field('access_token', 'text', { isSecret: true }),
		field('room_id', 'roomId', { hint: hints.roomId })
	]
};

export const PROVIDERS = Object.keys(texts.channel.providers) as ChannelProvider[];
export const CHANNEL_EVENTS = Object.keys(texts.channel.eventTexts) as ChannelEvent[];

export function fieldsOf(provider: ChannelProvider): readonly FieldSpec[] {
	return FIELDS[provider];
}

/** The fields that a provider has, without those that are left empty. */
export function configOf(provider: ChannelProvider, typed: Config): Record<string, string> {
	const config: Record<string, string> = {};
	for (const { name } of fieldsOf(provider)) {
		const value = typed[name]?.trim() ?? '';
		if (value !== '') config[name] = value;
	}
	return config;
}

/** Returns what is wrong per field; nothing if it can be sent. */
export function checkConfig(provider: ChannelProvider, typed: Config): Config {
	const wrong: Config = {};
	for (const spec of fieldsOf(provider)) {
		const problem = problemOf(spec, typed[spec.name]?.trim() ?? '');
		if (problem !== null) wrong[spec.name] = problem;
	}
	return wrong;
}

function problemOf({ name, isOptional, check }: FieldSpec, value: string): string | null {
	if (value === '') return isOptional ? null : problems.missing(labels[name]);
	switch (check) {
		case 'address':
			return isAddress(value) ? null : problems.address;
		case 'botToken':
			return /^\d+:[\w-]+$/.test(value) ? null : problems.botToken;
		case 'roomId':
			return value.startsWith('!') ? null : problems.roomId;
		case 'text':
			return null;
	}
}

function isAddress(text: string): boolean {
	try {
		return ['http:', 'https:'].includes(new URL(text).protocol);
	} catch {
		return false;
	}
}
