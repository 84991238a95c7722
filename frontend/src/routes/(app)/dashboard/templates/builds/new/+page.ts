import type { PageLoad } from './$types';

/** `?from=…` names the build that is to be started again. */
export const load: PageLoad = ({ url }) => ({ from: url.searchParams.get('from') });
