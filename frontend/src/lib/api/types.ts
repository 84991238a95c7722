/**
 * Names for the shapes of the wire contract.
 *
 * They are taken from paths, which the contract fixes, and not from the names of the OpenAPI
 * document's components, which the server may choose as it likes.
 */
import type { paths } from './schema';

type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : never;

export type AuthResponse = Json<paths['/v1/auth/login']['post']['responses'][200]>;
export type LoginRequest = Json<paths['/v1/auth/login']['post']['requestBody']>;
export type SignupRequest = Json<paths['/v1/auth/signup']['post']['requestBody']>;

export type Capsule = Json<paths['/v1/capsules/{id}']['get']['responses'][200]>;
export type CapsuleStatus = Capsule['status'];
export type CapsuleOperation = NonNullable<Capsule['operation']>;
export type CreateCapsuleRequest = Json<paths['/v1/capsules']['post']['requestBody']>;
export type SetPreviewRequest = Json<paths['/v1/capsules/{id}/preview']['put']['requestBody']>;

export type CapsuleStats = Json<paths['/v1/capsules/stats']['get']['responses'][200]>;
export type StatsRange = CapsuleStats['range'];
export type CapsuleMetrics = Json<paths['/v1/capsules/{id}/metrics']['get']['responses'][200]>;
export type MetricsRange = CapsuleMetrics['range'];
export type MetricPoint = CapsuleMetrics['points'][number];
export type GuestMetrics = NonNullable<CapsuleMetrics['guest']>;
export type CapsuleEvent = Json<paths['/v1/capsules/{id}/events']['get']['responses'][200]>[number];

export type Template = Json<paths['/v1/snapshots']['get']['responses'][200]>[number];
export type TemplateType = Template['type'];
export type CreateTemplateRequest = Json<paths['/v1/snapshots']['post']['requestBody']>;

export type ExecRequest = Json<paths['/v1/capsules/{id}/exec']['post']['requestBody']>;
export type ExecResponse = Json<paths['/v1/capsules/{id}/exec']['post']['responses'][200]>;

export type ProcessEntry = Json<
	paths['/v1/capsules/{id}/processes']['get']['responses'][200]
>['processes'][number];
export type Signal = NonNullable<
	NonNullable<
		paths['/v1/capsules/{id}/processes/{selector}']['delete']['parameters']['query']
	>['signal']
>;
export type StartedProcess = Json<paths['/v1/capsules/{id}/exec']['post']['responses'][202]>;

type FilesPath<What extends string> = `/v1/capsules/{id}/files/${What}`;
export type FolderList = Json<paths[FilesPath<'list'>]['post']['responses'][200]>;
export type FileEntry = FolderList['entries'][number];

export type Team = Json<paths['/v1/teams']['get']['responses'][200]>[number];
export type TeamRole = Team['role'];

export type ApiKey = Json<paths['/v1/api-keys']['get']['responses'][200]>[number];
export type CreatedApiKey = Json<paths['/v1/api-keys']['post']['responses'][201]>;

export type Build = Json<paths['/v1/admin/builds/{id}']['get']['responses'][200]>;
/** A build as its page needs it: the logs are told one by one. */
export type BuildHead = Omit<Build, 'logs'>;
export type BuildStatus = Build['status'];
export type CreateBuildRequest = Json<paths['/v1/admin/builds']['post']['requestBody']>;
export type LogEntry = Build['logs'][number];

export type AdminTemplate = Json<paths['/v1/admin/templates']['get']['responses'][200]>[number];
