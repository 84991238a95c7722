import { expect, it } from 'vitest';
import { filterTemplates, NO_FILTER } from './filter';
import { template } from './testing';

const items = [
	template({ id: 'tpl-1', name: 'python' }),
	template({ id: 'tpl-2', name: 'pylon', type: 'snapshot' }),
	template({ id: 'tpl-3', name: 'minimal', platform: true })
];
const owner = ({ platform }: { platform: boolean }) => (platform ? 'Platform' : 'your team');
const found = (filter: Partial<typeof NO_FILTER>) =>
	filterTemplates(items, { ...NO_FILTER, ...filter }, owner).map(({ name }) => name);

it('finds by name, id and owner', () => {
	expect(found({})).toEqual(['python', 'pylon', 'minimal']);
	expect(found({ text: ' PY' })).toEqual(['python', 'pylon']);
	expect(found({ text: 'tpl-3' })).toEqual(['minimal']);
	expect(found({ text: 'platform' })).toEqual(['minimal']);
	expect(found({ text: 'ruby' })).toEqual([]);
});

it('finds by type', () => {
	expect(found({ type: 'snapshot' })).toEqual(['pylon']);
	expect(found({ type: 'base', text: 'py' })).toEqual(['python']);
});
