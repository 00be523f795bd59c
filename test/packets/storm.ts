/** The process of one storm (storm.bpf.c), so that each can be pinned to a CPU. Takes a Storm as JSON. */
import {BpfObject, BpfProgram} from 'libbpf-ts';

/** What every flow gets a packet of. */
export interface Step {
	/** 64 bytes in hexadecimal. */
	readonly frame: string;
	readonly fromServer: boolean;
	/** Its client is the one that had the first step so many clients ago. */
	readonly behind: number;
	/** One after the other, to the same client. */
	readonly packets: number;
}

export interface Storm {
	/** The compiled storm.bpf.c. */
	readonly object: string;
	/** Where the program under test is pinned. */
	readonly program: string;
	readonly ifindex: number;
	/** Four at most. */
	readonly steps: readonly Step[];
	/** The address of the first client, as a number. */
	readonly firstClient: number;
	/** A power of two. */
	readonly clients: number;
	readonly stride: number;
	readonly packets: number;
}

const FRAME_LENGTH = 64;
const STEP_LENGTH = FRAME_LENGTH + 16;
const STEPS = 4;

function rage(storm: Storm): void {
	const object = BpfObject.open(storm.object);
	object.load();
	const key = new Uint8Array(4);
	const settings = new DataView(new ArrayBuffer(STEPS * STEP_LENGTH + 32));
	for (const [index, {frame, fromServer, behind, packets}] of storm.steps.entries()) {
		const at = index * STEP_LENGTH;
		new Uint8Array(settings.buffer, at).set(Buffer.from(frame, 'hex'));
		settings.setUint32(at + FRAME_LENGTH, Number(fromServer), true);
		settings.setUint32(at + FRAME_LENGTH + 4, behind, true);
		settings.setUint32(at + FRAME_LENGTH + 8, packets, true);
	}
	const words = [storm.steps.length, storm.firstClient, storm.clients - 1, storm.stride];
	for (const [index, word] of words.entries()) settings.setUint32(STEPS * STEP_LENGTH + index * 4, word, true);
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
