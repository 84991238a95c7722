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
export type AuthMethods = Json<paths['/v1/auth/methods']['get']['responses'][200]>;
/** The signed-in user, with what only the server knows. */
export type Me = Json<paths['/v1/me']['get']['responses'][200]>;
export type ChangePasswordRequest = Json<paths['/v1/me/password']['post']['requestBody']>;
export type BegunTotp = Json<paths['/v1/me/totp']['post']['responses'][200]>;
export type DisableTotpRequest = Json<paths['/v1/me/totp']['delete']['requestBody']>;

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
export type TeamMember = Json<paths['/v1/teams/{id}/members']['get']['responses'][200]>[number];
export type Invitation = Json<paths['/v1/teams/{id}/invitations']['get']['responses'][200]>[number];
export type NewMemberRole = NonNullable<
	Json<paths['/v1/teams/{id}/members']['post']['requestBody']>['role']
>;
export type UserSearchResult = Json<paths['/v1/users/search']['get']['responses'][200]>[number];
export type TeamQuota = Json<paths['/v1/teams/{id}/quota']['get']['responses'][200]>;
export type ResourceQuota = TeamQuota[keyof TeamQuota];
export type QuotaLimits = Json<paths['/v1/admin/teams/{id}/quota']['put']['requestBody']>;

/** A team as administrators of the platform see it. */
export type AdminTeam = Json<paths['/v1/admin/teams']['get']['responses'][200]>[number];
/** A user as administrators of the platform see them. */
export type AdminUser = Json<paths['/v1/admin/users']['get']['responses'][200]>[number];
export type ResetLink = Json<paths['/v1/admin/users/{id}/reset-link']['post']['responses'][200]>;

export type ApiKey = Json<paths['/v1/api-keys']['get']['responses'][200]>[number];
export type ApiKeyScope = ApiKey['scopes'][number];
export type CreateApiKeyRequest = Json<paths['/v1/api-keys']['post']['requestBody']>;
export type CreatedApiKey = Json<paths['/v1/api-keys']['post']['responses'][201]>;

export type Build = Json<paths['/v1/admin/builds/{id}']['get']['responses'][200]>;
/** A build as its page needs it: the logs are told one by one. */
export type BuildHead = Omit<Build, 'logs'>;
export type BuildStatus = Build['status'];
export type CreateBuildRequest = Json<paths['/v1/admin/builds']['post']['requestBody']>;
export type LogEntry = Build['logs'][number];
/** The faults for which a build would be refused. */
export type RecipeFaults = Json<paths['/v1/builds/check']['post']['responses'][200]>;
export type RecipeFault = RecipeFaults['recipe'][number];

export type AdminCapsule = Json<paths['/v1/admin/capsules']['get']['responses'][200]>[number];
export type PlatformSettings = Json<paths['/v1/admin/settings']['get']['responses'][200]>;
export type RotateTokenKeyRequest = Json<
	paths['/v1/admin/settings/token-key']['post']['requestBody']
>;

export type AdminTemplate = Json<paths['/v1/admin/templates']['get']['responses'][200]>[number];

type AuditLogEntry = Json<paths['/v1/audit-logs']['get']['responses'][200]>[number];
/** The document says of the facts only that they are texts. */
export type AuditEntry = Omit<AuditLogEntry, 'metadata'> & { metadata: Record<string, string> };
export type AuditQuery = NonNullable<paths['/v1/audit-logs']['get']['parameters']['query']>;
export type AuditFormat = NonNullable<AuditQuery['format']>;
type AdminAuditLogEntry = Json<paths['/v1/admin/audit-logs']['get']['responses'][200]>[number];
/** An entry of the log of all teams, with the team whose log shows it: null for a change of the platform. */
export type AdminAuditEntry = AuditEntry & Pick<AdminAuditLogEntry, 'team_id' | 'team_name'>;

export type Channel = Json<paths['/v1/channels']['get']['responses'][200]>[number];
export type ChannelProvider = Channel['provider'];
export type ChannelEvent = Channel['events'][number];
export type CreateChannelRequest = Json<paths['/v1/channels']['post']['requestBody']>;
export type UpdateChannelRequest = Json<paths['/v1/channels/{id}']['patch']['requestBody']>;
export type TestChannelRequest = Json<paths['/v1/channels/test']['post']['requestBody']>;

export type Usage = Json<paths['/v1/capsules/usage']['get']['responses'][200]>;
export type UsagePoint = Usage['points'][number];

export type Host = Json<paths['/v1/hosts']['get']['responses'][200]>[number];
export type HostStatus = Host['status'];
export type HostType = Host['type'];
export type HostDeletePreview = Json<
	paths['/v1/hosts/{id}/delete-preview']['get']['responses'][200]
>;
export type CreateHostRequest = Json<paths['/v1/hosts']['post']['requestBody']>;
export type CreatedHost = Json<paths['/v1/hosts']['post']['responses'][201]>;
