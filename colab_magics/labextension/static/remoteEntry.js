/* The front-end half of colab_magics, for JupyterLab 4 and Notebook 7.
 *
 * A module-federation container written by hand: it ships no dependency and needs no build. The
 * kernel opens a comm of target "colab_magics"; the answer goes back as an input_reply on stdin,
 * since a comm message would be read only after the cell that waits for it.
 *
 * What it may do: for the notebook whose own connection delivered the message, read, insert,
 * replace or delete the one code cell whose leading comments carry our marker, keep in the notebook's
 * metadata the lock, the GPU that Colab is to be asked for and where it is saved on GitHub, and save,
 * all while the cell that asks for it runs;
 * give its own kernel the notebook as it stands, while a cell of it asks; restart the kernel whose
 * running cell asks for it, and run the setup cell and the cells that were under way. It sets no
 * trust and no other metadata, and does nothing when a notebook is opened.
 */
(() => {
  const NAME = 'colab-magics';
  const TARGET = 'colab_magics';
  const ROLE = { role: 'setup', version: 1 };
  const TAGS = ['nbval-ignore-output'];
  const SAVING = 4000; // ms that the running cell waits for the file; it may be saved later
  const LARGE = 4e6; // bytes of a notebook; servers close a connection on which too much comes
  const DOUBT = 300; // ms in which what has been waiting for this page arrives
  const ENDED = new Set(['restarting', 'autorestarting', 'dead']);
  /* Python's `is_setup` reads it alike; tests/attacks/markers.json holds what both are to say. */
  const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/; // of Python's str.splitlines
  const MARKER = /^#[ \t]*colab_magics:setup v[0-9]+(?![0-9A-Za-z_])/;
  const LEADING = /^(?:#|[ \t]*$)/;
  /* What may be kept in the notebook's metadata, where, and what it looks like. */
  const KEPT = {
    lock: { key: TARGET, name: 'lock', test: /^(?:lock-version = |gzip:|off$)/ },
    gpu: { key: 'colab', name: 'gpuType', test: /^[A-Z0-9]{1,16}$/ },
    github: { key: TARGET, name: 'github', test: /^(?:repository|path|gist)=[\w.~%+/&=-]+$/ }
  };
  let scope = null;
  let actions = null; // NotebookActions
  let toast = null; // Notification
  let specs = null; // of kernels

  /* A module that the application shares: {version: {get, loaded, ...}}. */
  async function shared(name) {
    const versions = scope[name];
    if (!versions) throw new Error(`${NAME}: ${name} is not shared by this application`);
    const key = Object.keys(versions).find(k => versions[k].loaded) || Object.keys(versions)[0];
    return (await versions[key].get())();
  }

  /* Whether a cell is a setup cell: the marker stands in its leading comments. */
  function isSetup(text) {
    for (const line of text.split(LINE_END)) {
      if (MARKER.test(line)) return true;
      if (!LEADING.test(line)) return false;
    }
    return false;
  }

  /* The places of all setup cells. */
  function setupCells(notebook) {
    const found = [];
    notebook.cells.forEach((cell, index) => {
      if (cell.cell_type === 'code' && isSetup(cell.getSource())) found.push(index);
    });
    return found;
  }

  /* Text as the editor holds it: with one kind of line end. */
  function plain(text) {
    return text.replace(/\r\n?/g, '\n');
  }

  /* What stands under a key of the notebook's metadata, which anybody may have written. */
  function part(notebook, key) {
    const found = notebook.getMetadata(key);
    return found && typeof found === 'object' && !Array.isArray(found) ? found : {};
  }

  /* What is kept: text, or null. Python's `metadata_keys` reads and changes it alike;
   * tests/attacks/metadata.json holds what both are to make of it. */
  function kept(notebook) {
    const text = ({ key, name }) => {
      const found = part(notebook, key)[name];
      return typeof found === 'string' ? found : null;
    };
    const asked = notebook.getMetadata('accelerator') === 'GPU';
    const gpu = asked ? text(KEPT.gpu) ?? 'GPU' : null;
    return { lock: text(KEPT.lock), gpu, github: text(KEPT.github) };
  }

  function read(notebook) {
    const found = setupCells(notebook);
    if (found.length > 1) return { status: 'several', cells: found.map(i => i + 1) };
    const text = found.length ? plain(notebook.cells[found[0]].getSource()) : null;
    return { status: 'ok', text, ...kept(notebook) };
  }

  /* Keep a value beside whatever else is in the notebook's metadata; null takes it out. */
  function keep(notebook, what, value) {
    const known = typeof what === 'string' && Object.hasOwn(KEPT, what) ? KEPT[what] : null;
    const fits = value === null || (typeof value === 'string' && known && known.test.test(value));
    if (!known || !fits) return { status: 'refused' };
    if (kept(notebook)[what] === value) return { status: 'ok' };
    const { [known.name]: old, ...rest } = part(notebook, known.key);
    const now = value === null ? rest : { ...rest, [known.name]: value };
    if (Object.keys(now).length) notebook.setMetadata(known.key, now);
    else notebook.deleteMetadata(known.key);
    if (what === 'gpu' && value !== null) notebook.setMetadata('accelerator', 'GPU');
    if (what === 'gpu' && value === null) notebook.deleteMetadata('accelerator');
    return { status: 'ok' };
  }

  /* Put the text where `expected` stands; null is no cell. */
  function put(panel, text, expected) {
    if (text !== null && !(typeof text === 'string' && isSetup(text))) return { status: 'refused' };
    const notebook = panel.context.model.sharedModel;
    const now = read(notebook);
    if (now.status !== 'ok') return now;
    if (now.text !== expected) return { status: 'conflict' };
    if (now.text === text) return { status: 'ok' };
    const index = setupCells(notebook)[0];
    const cell = notebook.cells[index];
    /* An editor counts \r\n as one, its text as two: a change of that text fails halfway. The cell
     * is replaced then, which would cut off its own run. */
    const foreign = text !== null && cell && cell.getSource() !== now.text;
    if (foreign && underWay(panel.content, panel.content.widgets[index]))
      return { status: 'line-ends' };
    notebook.transact(() => {
      if (text === null) notebook.deleteCell(index);
      else if (foreign) {
        const anew = { ...cell.toJSON(), source: plain(text) };
        notebook.deleteCell(index);
        notebook.insertCell(index, anew);
      } else if (cell) cell.setSource(plain(text));
      else {
        const metadata = { [TARGET]: ROLE, tags: TAGS };
        notebook.insertCell(0, { cell_type: 'code', source: plain(text), metadata });
      }
    });
    return { status: 'ok' };
  }

  /* Document context -> {done, end}: a save under way. Two at once, such as ours and an autosave,
   * take each other for a change on disk, and the front end asks whether to overwrite it. */
  const saves = new WeakMap();

  function followSaves(context) {
    context.saveState.connect((_, state) => {
      const before = saves.get(context);
      if (before) before.end();
      saves.delete(context);
      if (state !== 'started') return;
      const save = {};
      save.done = new Promise(end => {
        save.end = end;
      });
      saves.set(context, save);
    });
  }

  /* Ours waits for one that is under way; one that is asked for meanwhile waits for ours. */
  async function save(context) {
    while (saves.has(context)) await saves.get(context).done;
    const plain = context.save;
    const ours = context.save();
    context.save = () => ours.catch(() => {}).then(() => plain.call(context));
    try {
      await ours;
    } finally {
      delete context.save;
    }
  }

  /* Save; whether it is done is said in time for the cell that waits, true or not. */
  function saved(context) {
    const late = new Promise(done => setTimeout(() => done(false), SAVING));
    const done = save(context).then(() => true, () => false);
    return Promise.race([done, late]);
  }

  /* The notebook as it stands, with what is not saved yet; a large one is saved, to be read there. */
  async function whole(context) {
    const notebook = context.model.toJSON();
    if (new Blob([JSON.stringify(notebook)]).size <= LARGE) return { status: 'ok', notebook };
    return { status: 'ok', notebook: null, saved: await saved(context) };
  }

  async function answer(panel, data) {
    const context = panel.context;
    const notebook = context.model.sharedModel;
    if (data.action === 'read') return { ...read(notebook), path: context.path };
    if (data.action === 'whole') return { ...(await whole(context)), path: context.path };
    if (data.action !== 'put' && data.action !== 'keep') return { status: 'refused' };
    const file = context.contentsModel;
    if (context.model.readOnly || (file && file.writable === false)) return { status: 'read-only' };
    const done =
      data.action === 'keep'
        ? keep(notebook, data.what, data.value)
        : put(panel, data.text, data.expected);
    if (done.status === 'ok') done.saved = await saved(context);
    return { ...done, path: context.path };
  }

  // ---- restart and continue ----------------------------------------------------------------

  /* Notebook widget -> {batch: [{cell, done}], reasons, busy, runs}. The batch is what was scheduled
   * since the notebook was last idle, in that order: a cell that a restart cancels emits no
   * `executed`, and neither prompts nor execution states keep the order. */
  const states = new WeakMap();

  function stateOf(notebook) {
    if (!states.has(notebook))
      states.set(notebook, { batch: [], reasons: new Set(), busy: false, runs: 0 });
    return states.get(notebook);
  }

  function follow() {
    actions.executionScheduled.connect((_, { notebook, cell }) => {
      const state = stateOf(notebook);
      if (state.batch.every(entry => entry.done || entry.cell.isDisposed)) {
        state.batch = [];
        if (!state.runs) state.reasons.clear(); // a person has begun something new
      }
      state.batch.push({ cell, done: false });
      for (const button of cell.node.querySelectorAll(`.${NAME}-restart`)) button.remove();
    });
    actions.executed.connect((_, { notebook, cell }) => {
      const entry = stateOf(notebook).batch.find(one => one.cell === cell && !one.done);
      if (entry) entry.done = true;
    });
  }

  function underWay(notebook, cell) {
    return stateOf(notebook).batch.some(entry => entry.cell === cell && !entry.done);
  }

  /* The cell that runs, in this notebook, and whose run the message belongs to: a cell keeps its
   * future when it has ended. */
  function asker(notebook, request) {
    return notebook.widgets.find(cell => {
      const run = cell.outputArea && cell.outputArea.future;
      return run && underWay(notebook, cell) && run.msg.header.msg_id === request.msg_id;
    });
  }

  /* The setup cell once, then what was under way, in its order; no cell twice. */
  function plan(notebook, asking) {
    const setup = notebook.widgets[setupCells(notebook.model.sharedModel)[0]];
    const batch = stateOf(notebook).batch.map(entry => entry.cell);
    const cells = [setup, ...batch, asking];
    return cells.filter((cell, at) => cell && !cell.isDisposed && cells.indexOf(cell) === at);
  }

  /* "cell 2", "cells 1-3, 5": in the order in which they run. */
  function named(notebook, cells) {
    const runs = [];
    for (const number of cells.map(cell => notebook.widgets.indexOf(cell) + 1)) {
      const last = runs[runs.length - 1];
      if (last && number === last[1] + 1) last[1] = number;
      else runs.push([number, number]);
    }
    const words = runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
    return `${cells.length === 1 ? 'cell' : 'cells'} ${words.join(', ')}`;
  }

  /* Draw a button below a cell. It lives in this page alone: nothing of it is saved. */
  function draw(panel, asking, cells, data) {
    const button = document.createElement('button');
    button.className = `${NAME}-restart jp-mod-styled jp-mod-accept`;
    button.style.margin = '4px 0 4px 70px';
    button.textContent = `Restart the kernel, and run ${named(panel.content, cells)} again`;
    button.onclick = () => {
      button.remove();
      void restart(panel, cells, data);
    };
    asking.node.appendChild(button);
  }

  /* runCells goes to command mode, in which what a person types would be shortcuts. */
  function run(panel, cells) {
    const notebook = panel.content;
    const typing = notebook.mode === 'edit' && notebook.node.contains(document.activeElement);
    const done = actions.runCells(notebook, cells, panel.sessionContext);
    if (typing) notebook.mode = 'edit';
    return done;
  }

  async function restart(panel, cells, { reason, about, kernel: name }) {
    const state = stateOf(panel.content);
    if (state.busy) return;
    state.busy = true;
    try {
      if (name) await specs.refreshSpecs(); // it has just been made, and is shown by its title
      if (name) await panel.sessionContext.changeKernel({ name });
      else await panel.sessionContext.restartKernel(); // asks nobody, and swallows its errors
      const kernel = panel.sessionContext.session && panel.sessionContext.session.kernel;
      const late = new Promise((_, no) => setTimeout(() => no(new Error('no answer')), 60000));
      if (!kernel || kernel.status === 'dead') throw new Error('the kernel did not come back');
      await Promise.race([kernel.info, late]);
      if (name) void save(panel.context); // so that it is opened on that kernel the next time
      state.batch = [];
      state.reasons.add(reason);
      const left = cells.filter(cell => !cell.isDisposed);
      const then = left.length ? `Running ${named(panel.content, left)}.` : 'Nothing was run.';
      if (toast)
        toast.info(`${name ? 'Switched to' : 'Kernel restarted for'} ${about}. ${then}`, {
          autoClose: 8000
        });
      state.runs += 1;
      const done = run(panel, left);
      state.busy = false; // what is run may ask again
      await done.finally(() => {
        state.runs -= 1;
      });
    } catch (error) {
      state.busy = false;
      if (toast) toast.error(`colab_magics could not go on after the restart: ${error.message}`);
    }
  }

  /* Restart now, or offer it below the cell that asks; answered before anything happens. */
  function onRestart(panel, data, asking) {
    const notebook = panel.content;
    if (data.now && stateOf(notebook).reasons.has(data.reason)) return { status: 'again' };
    const cells = data.alone ? [] : plan(notebook, asking);
    if (data.now) setTimeout(() => void restart(panel, cells, data));
    else draw(panel, asking, cells, data);
    return { status: 'ok' };
  }

  /* The one door: a message that comes at another time than while its cell runs is nobody's wish,
   * and learns no more than that we are here. */
  function act(panel, data, request) {
    if (data.action === 'hello') return { status: 'ok' };
    const asking = asker(panel.content, request);
    if (!asking) return { status: 'gone' };
    return data.action === 'restart' ? onRestart(panel, data, asking) : answer(panel, data);
  }

  async function onOpen(panel, kernel, message) {
    const data = message.content.data || {};
    /* Every window on this kernel sees the message; only the one that asked acts. */
    if (message.parent_header.session !== kernel.clientId) return;
    if (typeof data.nonce !== 'string' || data.nonce.length !== 32) return;
    let reply;
    try {
      reply = await act(panel, data, message.parent_header);
    } catch (error) {
      reply = { status: 'failed', why: String(error) };
    }
    /* Nobody may wait for it any more, and another cell may wait for a person's answer. */
    if (kernel.hasPendingInput) return;
    const value = JSON.stringify({ ...reply, nonce: data.nonce });
    kernel.sendInputReply({ status: 'ok', value }, message.parent_header);
  }

  /* Listen on the notebook's own connection, also where a console opened the kernel first and
   * comms are handled by that one alone. */
  function watch(panel) {
    const seen = new WeakSet();
    const hook = kernel => {
      if (!kernel || seen.has(kernel)) return;
      seen.add(kernel);
      kernel.registerCommTarget(TARGET, () => {});
      let way = Infinity; // ms by which this clock is ahead of the kernel's, and a message's way
      const doubted = new Set(); // ids of comms
      kernel.iopubMessage.connect((_, message) => {
        const { header, content } = message;
        const age = Date.now() - Date.parse(header.date);
        if (age < way) way = age;
        if (header.msg_type === 'comm_close') doubted.delete(content.comm_id);
        if (header.msg_type !== 'comm_open' || content.target_name !== TARGET) return;
        const patience = 1000 * ((content.data && content.data.patience) || 0);
        if (age - way <= patience) return void onOpen(panel, kernel, message);
        /* A tab that was asleep gets old questions, each closed right behind it: their cell has
         * ended, and has said so. One that stays open is new, and a clock was set meanwhile. */
        doubted.add(content.comm_id);
        setTimeout(() => {
          if (!doubted.delete(content.comm_id)) return;
          way = age;
          void onOpen(panel, kernel, message);
        }, DOUBT);
      });
    };
    followSaves(panel.context);
    /* What a restart by hand cancels is under way no more. */
    panel.sessionContext.statusChanged.connect((_, status) => {
      const state = stateOf(panel.content);
      if (ENDED.has(status) && !state.busy) state.batch = [];
    });
    panel.sessionContext.kernelChanged.connect((_, change) => hook(change.newValue));
    hook(panel.sessionContext.session && panel.sessionContext.session.kernel);
  }

  const plugin = {
    id: `${NAME}:plugin`,
    description: 'Keeps the setup cell of colab_magics in the open notebook.',
    autoStart: true,
    requires: [],
    activate: (app, tracker) => {
      specs = app.serviceManager.kernelspecs;
      follow();
      tracker.forEach(watch);
      tracker.widgetAdded.connect((_, panel) => watch(panel));
    }
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = {
    init: given => {
      scope = given;
    },
    get: async module => {
      if (module !== './extension') throw new Error(`${NAME}: there is no ${module}`);
      const notebook = await shared('@jupyterlab/notebook');
      actions = notebook.NotebookActions;
      toast = (await shared('@jupyterlab/apputils')).Notification;
      plugin.requires = [notebook.INotebookTracker];
      return () => ({ __esModule: true, default: plugin });
    }
  };
})();
