/**
 * Limits and defaults of request bodies, by schema and property. A property without either is empty.
 *
 * Generated from `openapi.json` by `npm run generate`. Do not edit.
 */
export const limits = {
	AcceptInvitationRequest: {
		token: {}
	},
	ActivateRequest: {
		token: {}
	},
	AddMemberRequest: {
		email: {
			maxLength: 254
		},
		role: {}
	},
	AddTagRequest: {
		tag: {
			minLength: 1,
			maxLength: 63,
			pattern: '^[A-Za-z0-9][A-Za-z0-9._:=-]*$'
		}
	},
	ChangePasswordRequest: {
		confirm_password: {},
		current_password: {},
		new_password: {
			minLength: 8
		}
	},
	CheckBuildRequest: {
		healthcheck: {},
		recipe: {}
	},
	ConfirmTotpRequest: {
		code: {}
	},
	CreateApiKeyRequest: {
		expires_at: {},
		name: {
			minLength: 1,
			maxLength: 100,
			default: 'Unnamed API Key'
		},
		scopes: {}
	},
	CreateBuildRequest: {
		base_template: {
			default: 'minimal'
		},
		disk_size_mb: {
			minimum: 256,
			maximum: 1048576,
			default: 5120
		},
		healthcheck: {},
		memory_mb: {
			minimum: 128,
			maximum: 65536,
			default: 512
		},
		name: {
			minLength: 1,
			maxLength: 63,
			pattern: '^[a-z0-9][a-z0-9._-]*$'
		},
		no_cache: {
			default: false
		},
		recipe: {},
		skip_pre_post: {
			default: false
		},
		vcpus: {
			minimum: 1,
			maximum: 32,
			default: 1
		}
	},
	CreateCapsuleRequest: {
		auto_resume: {
			default: false
		},
		disk_size_mb: {
			maximum: 1048576,
			default: 5120
		},
		envs: {},
		memory_mb: {
			minimum: 128,
			maximum: 65536,
			default: 512
		},
		metadata: {},
		preview_access: {},
		template: {
			default: 'minimal'
		},
		timeout_sec: {
			minimum: 0,
			maximum: 31536000,
			default: 0
		},
		vcpus: {
			minimum: 1,
			maximum: 32,
			default: 1
		},
		wait: {
			default: false
		}
	},
	CreateChannelRequest: {
		config: {},
		events: {},
		name: {
			minLength: 1,
			maxLength: 100
		},
		provider: {}
	},
	CreateHostRequest: {
		availability_zone: {
			minLength: 1,
			maxLength: 100
		},
		provider: {
			minLength: 1,
			maxLength: 100
		},
		team_id: {},
		type: {}
	},
	CreateInvitationRequest: {
		email: {
			maxLength: 254
		},
		role: {}
	},
	CreateSnapshotRequest: {
		name: {
			minLength: 1,
			maxLength: 63,
			pattern: '^[a-z0-9][a-z0-9._-]*$'
		},
		sandbox_id: {},
		type: {}
	},
	DeleteMeRequest: {
		confirmation: {}
	},
	DisableTotpRequest: {
		code: {},
		password: {}
	},
	DrainHostRequest: {
		enabled: {}
	},
	ExecRequest: {
		args: {},
		background: {
			default: false
		},
		cmd: {},
		cwd: {},
		envs: {},
		tag: {},
		timeout_sec: {
			minimum: 0,
			maximum: 86400,
			default: 30
		},
		user: {}
	},
	ForgetPasswordRequest: {
		email: {
			maxLength: 254
		}
	},
	ListDirRequest: {
		depth: {
			minimum: 1,
			maximum: 256,
			default: 1
		},
		path: {},
		user: {}
	},
	LoginRequest: {
		email: {},
		password: {},
		totp_code: {}
	},
	PathRequest: {
		path: {},
		user: {}
	},
	RefreshHostTokenRequest: {
		refresh_token: {}
	},
	RegisterHostRequest: {
		address: {
			maxLength: 200
		},
		arch: {
			maxLength: 200
		},
		cpu_cores: {
			minimum: 0
		},
		disk_gb: {
			minimum: 0
		},
		memory_mb: {
			minimum: 0
		},
		token: {}
	},
	RenameMeRequest: {
		name: {
			minLength: 1,
			maxLength: 100
		}
	},
	RenameRequest: {
		from: {},
		overwrite: {
			default: false
		},
		to: {},
		user: {}
	},
	ResetPasswordRequest: {
		new_password: {
			minLength: 8
		},
		token: {}
	},
	ResumeCapsuleRequest: {
		drop_memory: {
			default: false
		}
	},
	RotateConfigRequest: {
		config: {}
	},
	RotateTokenKeyRequest: {
		end_sessions: {}
	},
	SetActiveRequest: {
		active: {}
	},
	SetAdminRequest: {
		is_admin: {}
	},
	SetByocRequest: {
		enabled: {}
	},
	SetMemberRoleRequest: {
		role: {}
	},
	SetPreviewRequest: {
		access: {},
		rotate_token: {
			default: false
		}
	},
	SetTimeoutRequest: {
		timeout_sec: {
			minimum: 0,
			maximum: 31536000
		}
	},
	SignupRequest: {
		email: {
			maxLength: 254
		},
		invitation_token: {},
		name: {
			minLength: 1,
			maxLength: 100
		},
		password: {
			minLength: 8
		},
		setup_token: {}
	},
	SwitchTeamRequest: {
		team_id: {}
	},
	TeamNameRequest: {
		name: {
			minLength: 1,
			maxLength: 100
		}
	},
	TestChannelRequest: {
		config: {},
		provider: {}
	},
	UpdateChannelRequest: {
		events: {},
		name: {
			minLength: 1,
			maxLength: 100
		}
	}
} as const;
