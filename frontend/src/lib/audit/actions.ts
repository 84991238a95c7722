/** The actions that are possible with the audit log. */
import Download from '@lucide/svelte/icons/download';
import type { AuditFormat } from '../api/types';
import type { Action } from '../components/action';
import { denial, type Principal } from '../session/principal.svelte';
import { texts } from '../texts';
import { OPERATIONS, type AuditScope } from './scope';

const words = texts.audit;

/**
 * @param isExporting true while an export is on its way
 * @param onExport saves what the filters match
 */
export function getAuditActions(
	principal: Principal,
	scope: AuditScope,
	isExporting: boolean,
	onExport: (format: AuditFormat) => void
): Action[] {
	const obstacle = denial(principal, OPERATIONS[scope]) ?? (isExporting ? words.exporting : null);
	return [
		{
			id: 'csv',
			text: words.exportCsv,
			label: words.exportCsvOf,
			icon: Download,
			obstacle,
			run: () => onExport('csv')
		},
		{
			id: 'jsonl',
			text: words.exportJsonl,
			icon: Download,
			obstacle,
			run: () => onExport('jsonl')
		}
	];
}
