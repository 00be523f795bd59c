{
	'targets': [
		{
			'target_name': 'net',
			'sources': ['addon.cc', 'dialer.cc', 'socket.cc', 'watcher.cc', '../src/fd.cc'],
			'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")", '../src'],
			'defines': ['NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS'],
			'cflags': ['-Wall', '-Wextra'],
			'cflags_cc!': ['-fno-exceptions'],
		},
	],
}
