/** The laboratory itself: what it promises to the tests beside this one. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {createInterface} from 'node:readline';
import anyTest, {type ExecutionContext} from 'ava';
import {Lab} from '../../lab/lab.js';
import {obstacle} from '../../lab/prerequisites.js';
import {inhabitants} from '../../lab/proc.js';
import {directoryOf, namespacesOf, sweep} from '../../lab/record.js';
import {run} from '../../lab/run.js';

const reason = obstacle();
if (reason !== null) console.warn(`skipped: ${reason}`);
const test = reason === null ? anyTest.serial : anyTest.serial.skip;

async function assertGone(t: ExecutionContext, id: string): Promise<void> {
	const present = await run(['ip', 'netns', 'list']);
	t.deepEqual(
		namespacesOf(id).filter(name => present.includes(name)),
		[],
	);
	t.false(existsSync(directoryOf(id)));
}

/** Another program that makes a laboratory and then waits. */
async function otherOwner(): Promise<{readonly owner: ChildProcess; readonly id: string}> {
	const lab = new URL('../../lab/lab.js', import.meta.url).href;
	const code = `const {Lab} = await import('${lab}'); console.log((await Lab.create()).id); setInterval(() => {}, 60_000);`;
	const owner = spawn(process.execPath, ['--input-type=module', '--eval', code], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	const [id] = await once(createInterface(owner.stdout), 'line');
	return {owner, id: String(id)};
}

test('two laboratories exist at once, each with its own servers and clients', async t => {
	const labs = await Promise.all([Lab.create(), Lab.create()]);
	for (const lab of labs) {
		const outcomes = await lab.run('lb1', 'curl', '-s', 'http://10.0.0.71/', 'http://10.0.0.72/');
		t.is(outcomes, 'web1\nweb2\n');
		t.is((await lab.run('lb1', 'ping', '-c1', '-W10', '198.18.7.7')).includes('1 received'), true);
	}
	const [first, second] = labs;
	await first.web1.stop();
	t.true(second.web1.running);
	await first.destroy();
	await assertGone(t, first.id);
	t.is(await second.run('lb2', 'curl', '-s', 'http://10.0.0.71/'), 'web1\n');
	await second.destroy();
	await assertGone(t, second.id);
});

test('a name is taken once', async t => {
	const lab = await Lab.create();
	await t.throwsAsync(Lab.create({id: lab.id}), {message: /exists already/});
	t.true(lab.web1.running);
	await lab.destroy();
});

test('Ctrl-C takes the laboratory along', async t => {
	const {owner, id} = await otherOwner();
	owner.kill('SIGINT');
	t.deepEqual(await once(owner, 'exit'), [130, null]);
	await assertGone(t, id);
});

test('what a killed owner leaves behind is swept by the next', async t => {
	const {owner, id} = await otherOwner();
	t.false(sweep().includes(id), 'the owner lives');
	owner.kill('SIGKILL');
	await once(owner, 'exit');
	t.true(inhabitants(namespacesOf(id)).length > 0);
	t.deepEqual(
		sweep().filter(swept => swept === id),
		[id],
	);
	await assertGone(t, id);
});
