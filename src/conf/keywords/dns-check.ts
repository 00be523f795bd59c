import {one} from '../args.js';
import type {DnsCheck, DnsType, Place} from '../model.js';
import {full, type Keywords} from '../table.js';
import {oneOf, type Value} from '../values.js';
import {type CheckSetting, newTarget, type TargetDraft, targetKeywords, toChecking, toTarget} from './check-draft.js';

interface DnsDraft extends TargetDraft {
	type: DnsType;
	name: string;
}

const types = oneOf<DnsType>({
	A: 'A',
	NS: 'NS',
	CNAME: 'CNAME',
	SOA: 'SOA',
	MX: 'MX',
	TXT: 'TXT',
	AAAA: 'AAAA',
	RRSIG: 'RRSIG',
	DNSKEY: 'DNSKEY',
});

/** RFC 1035 section 2.3.4. */
const LABEL_MAX = 63;
const NAME_MAX = 253;

/** `.` or `www.example.com`, with or without the dot at its end; in the model without. */
const domainName: Value<string> = {
	usage: 'DOMAIN',
	parse(text) {
		const name = text.replace(/\.$/, '');
		if (name === '') return {value: name};
		if (name.split('.').includes('')) return {why: 'has an empty part'};
		const isLong = name.length > NAME_MAX || name.split('.').some(label => label.length > LABEL_MAX);
		return isLong || !/^[!-~]+$/.test(name) ? {why: 'is no domain name'} : {value: name};
	},
};

const keywords: Keywords<DnsDraft> = {
	...targetKeywords<DnsDraft>(),
	type: full(one(types), (draft, type) => {
		draft.type = type;
	}),
	name: full(one(domainName), (draft, name) => {
		draft.name = name;
	}),
};

/** `DNS_CHECK`. */
export const dnsCheck = {
	keywords,
	open: (place: Place): DnsDraft => ({...newTarget(place), type: 'SOA', name: ''}),
	toChecks(draft: DnsDraft, setting: CheckSetting): readonly DnsCheck[] {
		return [
			{
				kind: 'dns',
				...toChecking(draft, setting, {retry: 3, delayBeforeRetryUs: null}),
				...toTarget(draft, 'DNS_CHECK', setting),
				type: draft.type,
				name: draft.name,
			},
		];
	},
};
