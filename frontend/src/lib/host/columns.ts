/** The columns of a list of hosts. */
import type { Column } from '../components/table';
import { texts } from '../texts';
import type { HostView } from './scope';

const words = texts.host.columns;

export function hostColumns(view: HostView): readonly Column[] {
	return [
		{ text: words.host },
		{ text: words.status, class: 'hidden w-px sm:table-cell' },
		...(view === 'byoc' ? [{ text: words.team, class: 'hidden w-[15%] lg:table-cell' }] : []),
		{ text: words.capsules, class: 'hidden w-px text-right lg:table-cell' },
		{ text: words.vcpus, class: 'hidden w-24 md:table-cell' },
		{ text: words.memory, class: 'hidden w-32 md:table-cell' },
		{ text: words.disk, class: 'hidden w-32 md:table-cell' },
		{ text: words.seen, class: 'hidden w-px whitespace-nowrap text-right lg:table-cell' }
	];
}
