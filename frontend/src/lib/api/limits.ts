/**
 * Limits and defaults of request bodies, by schema and property. A property without either is empty.
 *
 * Generated from `openapi.json` by `npm run generate`. Do not edit.
 */
export const limits = {
	CreateApiKeyRequest: {
		name: {
			minLength: 1,
			maxLength: 100,
			default: 'Unnamed API Key'
		}
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
	CreateSnapshotRequest: {
		name: {
			minLength: 1,
			maxLength: 63,
			pattern: '^[a-z0-9][a-z0-9._-]*$'
		},
		sandbox_id: {},
		type: {}
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
		password: {}
	},
	PathRequest: {
		path: {},
		user: {}
	},
	RenameRequest: {
		from: {},
		overwrite: {
			default: false
		},
		to: {},
		user: {}
	},
	ResumeCapsuleRequest: {
		drop_memory: {
			default: false
		}
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
		name: {
			minLength: 1,
			maxLength: 100
		},
		password: {
			minLength: 8
		}
	}
} as const;
