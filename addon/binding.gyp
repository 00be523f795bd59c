{
	'targets': [
		{
			'target_name': 'bpf',
			'sources': [
				'src/addon.cc',
				'src/dump.cc',
				'src/fd.cc',
				'src/link.cc',
				'src/map.cc',
				'src/memory.cc',
				'src/object.cc',
				'src/run.cc',
			],
			'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
			'defines': ['NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS'],
			'cflags': ['-Wall', '-Wextra'],
			'cflags_cc!': ['-fno-exceptions'],
			'libraries': ['-lbpf'],
		},
	],
}
