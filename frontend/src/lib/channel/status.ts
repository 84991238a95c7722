/** State of a channel: its receiver is told, fails, or is told nothing any more. */
import type { Channel } from '../api/types';
import type { Tone } from '../components/tone';

export type ChannelState = 'on' | 'failing' | 'off';

export function channelState({
	disabled_at,
	last_error
}: Pick<Channel, 'disabled_at' | 'last_error'>): ChannelState {
	if (disabled_at !== null) return 'off';
	return last_error === null ? 'on' : 'failing';
}

export const CHANNEL_TONES: Record<ChannelState, Tone> = {
	on: 'live',
	failing: 'lost',
	off: 'broken'
};
