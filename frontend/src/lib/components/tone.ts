/** The look of a state; one colour and one shape each. */

export type Tone = 'live' | 'moving' | 'asleep' | 'gone' | 'lost' | 'broken';

export const TONE_TEXT: Record<Tone, string> = {
	live: 'text-live',
	moving: 'text-moving',
	asleep: 'text-asleep',
	gone: 'text-gone',
	lost: 'text-lost',
	broken: 'text-broken'
};

// Shapes differ too, for eyes that do not tell the colours apart.
export const TONE_SHAPE: Record<Tone, string> = {
	live: 'rounded-full bg-current',
	moving: 'rounded-full border-2 border-current',
	asleep: 'border-x-[3px] border-current',
	gone: 'bg-current',
	lost: 'rotate-45 border-2 border-current',
	broken: 'rotate-45 bg-current'
};
