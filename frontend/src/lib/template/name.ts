/** Names that templates can have. */
import { limits } from '../api/limits';
import { lengthProblem, type LengthBounds } from '../forms/text-length';
import { texts } from '../texts';

const NAME = /^[a-z0-9][a-z0-9._-]*$/;

/** Bounds of a name's length, as far as the API documents them. */
export const TEMPLATE_NAME_LENGTH: LengthBounds = limits.CreateSnapshotRequest.name;

/** Returns the problem with a name; null if there is none. */
export function templateNameProblem(name: string, length = TEMPLATE_NAME_LENGTH): string | null {
	return NAME.test(name) ? lengthProblem(name, length) : texts.template.nameRule;
}
