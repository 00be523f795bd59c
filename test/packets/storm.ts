/** The process of one storm (storm.bpf.c), so that each can be pinned to a CPU. Takes a Storm as JSON. */
import {BpfObject, BpfProgram} from 'libbpf-ts';

export interface Storm {
	/** The compiled storm.bpf.c. */
	readonly object: string;
	/** Where the program under test is pinned. */
	readonly program: string;
	readonly ifindex: number;
	/** 64 bytes in hexadecimal. */
	readonly frame: string;
	/** The address of the first client, as a number. */
	readonly firstClient: number;
	/** A power of two. */
	readonly clients: number;
	readonly step: number;
	readonly packets: number;
}

const FRAME_LENGTH = 64;

function rage(storm: Storm): void {
	const object = BpfObject.open(storm.object);
	object.load();
	const key = new Uint8Array(4);
	const settings = new DataView(new ArrayBuffer(FRAME_LENGTH + 16));
	new Uint8Array(settings.buffer).set(Buffer.from(storm.frame, 'hex'));
	settings.setUint32(FRAME_LENGTH, storm.firstClient, true);
	settings.setUint32(FRAME_LENGTH + 4, storm.clients - 1, true);
	settings.setUint32(FRAME_LENGTH + 12, storm.step, true);
	object.maps.get('storms')?.update(key, new Uint8Array(settings.buffer));

	const target = BpfProgram.openPinned(storm.program);
	const descriptor = new DataView(new ArrayBuffer(4));
	descriptor.setUint32(0, target.fd, true);
	object.maps.get('target')?.update(key, new Uint8Array(descriptor.buffer));
	const run = object.programs.get('storm')?.testRun({
		data: new Uint8Array(FRAME_LENGTH),
		ifindex: storm.ifindex,
		repeat: storm.packets,
	});
	process.stdout.write(`${run?.durationNs}\n`);
}

rage(JSON.parse(process.argv[2] ?? '{}'));
