import {hostname} from 'node:os';
import {defaultConfigId, type Machine} from '../../conf/machine.js';

/** This machine, by another ID where `configId` says one. */
export function realMachine(configId: string | undefined): Machine {
	return {
		configId: configId ?? defaultConfigId(hostname()),
		directory: process.cwd(),
		variable: name => process.env[name],
	};
}
