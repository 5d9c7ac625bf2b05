/**
 * The front-end half of colab_magics, for JupyterLab 4 and Notebook 7.
 *
 * A module-federation container written by hand: it ships no dependency and needs no build. The
 * kernel opens a comm of target "colab_magics"; the reply goes back as an input_reply on stdin,
 * because a comm message would be handled only after the cell that waits for it.
 *
 * It acts on one notebook, the one whose own kernel connection delivered the message, and only
 * while the cell that sent the message runs. It may then
 * - read, insert, replace or delete the one code cell whose leading comments carry our marker;
 * - set three values of the notebook's metadata (METADATA below), and save;
 * - send its own kernel the notebook as it is in the editor;
 * - restart the kernel, and run the setup cell and the cells that had been scheduled.
 * It never changes trust or other metadata, and does nothing when a notebook is opened.
 *
 * Types are JSDoc, checked against JupyterLab's by `tsc`: see tests/types.
 */
(() => {
  /**
   * @typedef {import('@jupyterlab/notebook').NotebookPanel} NotebookPanel
   * @typedef {import('@jupyterlab/notebook').Notebook} Notebook
   * @typedef {import('@jupyterlab/cells').Cell} Cell
   * @typedef {import('@jupyterlab/cells').CodeCell} CodeCell
   * @typedef {import('@jupyterlab/docregistry').DocumentRegistry.IContext<
   *   import('@jupyterlab/notebook').INotebookModel>} Context
   * @typedef {import('@jupyterlab/services').Kernel.IKernelConnection} Kernel
   * @typedef {import('@jupyterlab/services').KernelMessage.IHeader} Header
   * @typedef {import('@jupyterlab/services').KernelMessage.IMessage} Message
   * @typedef {import('@jupyter/ydoc').ISharedNotebook} SharedNotebook
   * @typedef {import('@lumino/coreutils').PartialJSONObject} JSONObject
   *
   * @typedef {{status: string, [field: string]: unknown}} Reply to the kernel
   * @typedef {{[field: string]: any}} Data of a message, from anybody: each field is checked
   * @typedef {{batch: {cell: Cell, done: boolean}[], reasons: Set<string>, busy: boolean,
   *   runs: number}} State of a notebook
   * @typedef {{[version: string]: {get: () => Promise<() => any>, loaded?: unknown}}} Shared module
   */
  const NAME = 'colab-magics';
  const TARGET = 'colab_magics';
  const ROLE = { role: 'setup', version: 1 };
  const TAGS = ['nbval-ignore-output'];
  const SAVE_TIMEOUT = 4000; // ms that the running cell waits; the save may still end later
  const LARGE = 4e6; // bytes of a notebook; servers close a connection that gets a larger message
  const BACKLOG = 300; // ms in which messages that waited for this page arrive
  const ENDED = new Set(['restarting', 'autorestarting', 'dead']);
  // Python's `is_setup` does the same: tests/cases/markers.json is the table of both.
  const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/; // of Python's str.splitlines
  const MARKER = /^#[ \t]*colab_magics:setup v[0-9]+(?![0-9A-Za-z_])/;
  const LEADING = /^(?:#|[ \t]*$)/;
  /**
   * The values that may be set in the notebook's metadata: where, and their form.
   * @type {{[name: string]: {key: string, name: string, test: RegExp}}}
   */
  const METADATA = {
    lock: { key: TARGET, name: 'lock', test: /^(?:lock-version = |gzip:|off$)/ },
    gpu: { key: 'colab', name: 'gpuType', test: /^[A-Z0-9]{1,16}$/ },
    github: { key: TARGET, name: 'github', test: /^(?:repository|path|gist)=[\w.~%+/&=-]+$/ }
  };
  /** @type {{[name: string]: Shared}} */
  let scope = {};
  /** @type {typeof import('@jupyterlab/notebook').NotebookActions} */
  let actions;
  /** @type {typeof import('@jupyterlab/apputils').Notification | null} */
  let notification = null;
  /** @type {import('@jupyterlab/services').KernelSpec.IManager} */
  let kernelspecs;

  /**
   * Load a module that the application shares.
   * @param {string} name
   */
  async function loadShared(name) {
    const versions = scope[name];
    if (!versions) throw new Error(`${NAME}: ${name} is not shared by this application`);
    const key = Object.keys(versions).find(k => versions[k].loaded) || Object.keys(versions)[0];
    return (await versions[key].get())();
  }

  /**
   * Tell whether a cell is a setup cell: its leading comments hold the marker.
   * @param {string} text
   */
  function isSetup(text) {
    for (const line of text.split(LINE_END)) {
      if (MARKER.test(line)) return true;
      if (!LEADING.test(line)) return false;
    }
    return false;
  }

  /**
   * Return the indexes of all setup cells.
   * @param {SharedNotebook} notebook
   */
  function setupCells(notebook) {
    /** @type {number[]} */
    const indexes = [];
    notebook.cells.forEach((cell, index) => {
      if (cell.cell_type === 'code' && isSetup(cell.getSource())) indexes.push(index);
    });
    return indexes;
  }

  /**
   * Return text with the line ends that the editor uses.
   * @param {string} text
   */
  function normalizeLineEnds(text) {
    return text.replace(/\r\n?/g, '\n');
  }

  /**
   * Return the object below a key of the metadata; anybody may have written anything there.
   * @param {SharedNotebook} notebook
   * @param {string} key
   * @returns {JSONObject}
   */
  function metadataObject(notebook, key) {
    const value = notebook.getMetadata(key);
    return value && typeof value === 'object' && !Array.isArray(value) ? value : {};
  }

  /**
   * Return the values of METADATA, each text or null.
   *
   * Python's `metadata_keys` does the same: tests/cases/metadata.json is the table of both.
   * @param {SharedNotebook} notebook
   * @returns {{[name: string]: string | null}}
   */
  function readMetadata(notebook) {
    /** @param {{key: string, name: string}} place */
    const text = ({ key, name }) => {
      const value = metadataObject(notebook, key)[name];
      return typeof value === 'string' ? value : null;
    };
    const hasGpu = notebook.getMetadata('accelerator') === 'GPU';
    const gpu = hasGpu ? text(METADATA.gpu) ?? 'GPU' : null;
    return { lock: text(METADATA.lock), gpu, github: text(METADATA.github) };
  }

  /**
   * Return the text of the setup cell (null where there is none) and the values of the metadata.
   * @param {SharedNotebook} notebook
   * @returns {Reply}
   */
  function read(notebook) {
    const indexes = setupCells(notebook);
    if (indexes.length > 1) return { status: 'several', cells: indexes.map(i => i + 1) };
    const cell = notebook.cells[indexes[0]];
    const text = cell ? normalizeLineEnds(cell.getSource()) : null;
    return { status: 'ok', text, ...readMetadata(notebook) };
  }

  /**
   * Set a value of METADATA, or delete it where it is null; other metadata stays.
   * @param {SharedNotebook} notebook
   * @param {unknown} name
   * @param {unknown} value
   * @returns {Reply}
   */
  function writeMetadata(notebook, name, value) {
    if (typeof name !== 'string' || !Object.hasOwn(METADATA, name)) return { status: 'refused' };
    const place = METADATA[name];
    if (value !== null && !(typeof value === 'string' && place.test.test(value)))
      return { status: 'refused' };
    if (readMetadata(notebook)[name] === value) return { status: 'ok' };
    const { [place.name]: _, ...others } = metadataObject(notebook, place.key);
    const object = value === null ? others : { ...others, [place.name]: value };
    if (Object.keys(object).length) notebook.setMetadata(place.key, object);
    else notebook.deleteMetadata(place.key);
    if (name === 'gpu' && value !== null) notebook.setMetadata('accelerator', 'GPU');
    if (name === 'gpu' && value === null) notebook.deleteMetadata('accelerator');
    return { status: 'ok' };
  }

  /**
   * Write the setup cell if its text is the expected one; null is no cell, in both.
   * @param {NotebookPanel} panel
   * @param {unknown} text
   * @param {unknown} expected
   * @returns {Reply}
   */
  function put(panel, text, expected) {
    if (text !== null && !(typeof text === 'string' && isSetup(text))) return { status: 'refused' };
    const notebook = sharedNotebook(panel);
    const present = read(notebook);
    if (present.status !== 'ok') return present;
    if (present.text !== expected) return { status: 'conflict' };
    if (present.text === text) return { status: 'ok' };
    const index = setupCells(notebook)[0];
    const cell = notebook.cells[index];
    // An editor counts \r\n as one character and its text as two, so that changing that text fails
    // halfway. The cell is replaced instead, which would cut off its own run.
    const foreign = text !== null && cell && cell.getSource() !== present.text;
    if (foreign && isUnderWay(panel.content, panel.content.widgets[index]))
      return { status: 'line-ends' };
    notebook.transact(() => {
      if (text === null) return notebook.deleteCell(index);
      const source = normalizeLineEnds(text);
      if (foreign) {
        const replacement = { ...cell.toJSON(), source }; // a deleted cell has no content
        notebook.deleteCell(index);
        notebook.insertCell(index, replacement);
      } else if (cell) cell.setSource(source);
      else {
        const metadata = { [TARGET]: ROLE, tags: TAGS };
        notebook.insertCell(0, { cell_type: 'code', source, metadata });
      }
    });
    return { status: 'ok' };
  }

  /** @param {NotebookPanel} panel */
  function sharedNotebook(panel) {
    const model = panel.context.model.sharedModel;
    return /** @type {SharedNotebook} */ (/** @type {unknown} */ (model));
  }

  /**
   * The save that is under way of each document. Two at once, such as ours and an autosave, take
   * each other for a change on disk, and the front end asks whether to overwrite it.
   * @type {WeakMap<Context, {done: Promise<void>, end: () => void}>}
   */
  const saves = new WeakMap();

  /** @param {Context} context */
  function trackSaves(context) {
    context.saveState.connect((_, state) => {
      saves.get(context)?.end();
      saves.delete(context);
      if (state !== 'started') return;
      let end = () => {};
      /** @type {Promise<void>} */
      const done = new Promise(resolve => {
        end = resolve;
      });
      saves.set(context, { done, end });
    });
  }

  /**
   * Save once the save that is under way has ended; a save requested meanwhile waits for ours.
   * @param {Context} context
   */
  async function save(context) {
    for (let other; (other = saves.get(context)); ) await other.done;
    const original = context.save;
    const ours = context.save();
    context.save = () => ours.catch(() => {}).then(() => original.call(context));
    try {
      await ours;
    } finally {
      // @ts-expect-error: what is deleted is our own property, which hides the class's method
      delete context.save;
    }
  }

  /**
   * Save, and return whether that succeeded within the time that the cell waits.
   * @param {Context} context
   */
  function trySave(context) {
    const late = new Promise(done => setTimeout(() => done(false), SAVE_TIMEOUT));
    const done = save(context).then(
      () => true,
      () => false
    );
    return Promise.race([done, late]);
  }

  /**
   * Return the notebook as the editor has it; a large one is saved, to be read from the disk.
   * @param {Context} context
   * @returns {Promise<Reply>}
   */
  async function readAll(context) {
    const notebook = context.model.toJSON();
    if (new Blob([JSON.stringify(notebook)]).size <= LARGE) return { status: 'ok', notebook };
    return { status: 'ok', notebook: null, saved: await trySave(context) };
  }

  /**
   * Carry out a request about the notebook's content.
   * @param {NotebookPanel} panel
   * @param {Data} data
   * @returns {Promise<Reply>}
   */
  async function onDocument(panel, data) {
    const context = panel.context;
    const notebook = sharedNotebook(panel);
    if (data.action === 'read') return { ...read(notebook), path: context.path };
    if (data.action === 'whole') return { ...(await readAll(context)), path: context.path };
    if (data.action !== 'put' && data.action !== 'keep') return { status: 'refused' };
    const file = context.contentsModel;
    if (context.model.readOnly || (file && file.writable === false)) return { status: 'read-only' };
    const reply =
      data.action === 'keep'
        ? writeMetadata(notebook, data.what, data.value)
        : put(panel, data.text, data.expected);
    if (reply.status === 'ok') reply.saved = await trySave(context);
    return { ...reply, path: context.path };
  }

  // ---- restart and continue ----------------------------------------------------------------

  /**
   * The batch is what was scheduled since the notebook was last idle, in that order: a cell that a
   * restart cancels emits no `executed`, and neither prompts nor execution states keep the order.
   * @type {WeakMap<Notebook, State>}
   */
  const states = new WeakMap();

  /** @param {Notebook} notebook */
  function stateOf(notebook) {
    let state = states.get(notebook);
    if (!state) {
      state = { batch: [], reasons: new Set(), busy: false, runs: 0 };
      states.set(notebook, state);
    }
    return state;
  }

  function trackRuns() {
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
      const entry = stateOf(notebook).batch.find(other => other.cell === cell && !other.done);
      if (entry) entry.done = true;
    });
  }

  /**
   * @param {Notebook} notebook
   * @param {Cell} cell
   */
  function isUnderWay(notebook, cell) {
    return stateOf(notebook).batch.some(entry => entry.cell === cell && !entry.done);
  }

  /**
   * Return the running cell of this notebook that the message comes from, if there is one.
   *
   * A cell keeps its future after it has ended, so that the future alone proves nothing.
   * @param {Notebook} notebook
   * @param {Header} request
   */
  function findSender(notebook, request) {
    return notebook.widgets.find(cell => {
      const run = /** @type {CodeCell} */ (cell).outputArea?.future;
      return run && isUnderWay(notebook, cell) && run.msg.header.msg_id === request.msg_id;
    });
  }

  /**
   * Return the cells to run after a restart: the setup cell, then what was under way, each once.
   * @param {Cell | undefined} setup
   * @param {Cell[]} batch
   * @param {Cell} sender
   */
  function planCells(setup, batch, sender) {
    /** @type {Cell[]} */
    const cells = [];
    for (const cell of [setup, ...batch, sender])
      if (cell && !cell.isDisposed && !cells.includes(cell)) cells.push(cell);
    return cells;
  }

  /**
   * Return how people call these cells, in the order in which they run: "cells 1-3, 5".
   * @param {number[]} numbers counted from 1
   */
  function nameCells(numbers) {
    /** @type {[number, number][]} */
    const ranges = [];
    for (const number of numbers) {
      const last = ranges[ranges.length - 1];
      if (last && number === last[1] + 1) last[1] = number;
      else ranges.push([number, number]);
    }
    const words = ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`));
    return `${numbers.length === 1 ? 'cell' : 'cells'} ${words.join(', ')}`;
  }

  /**
   * @param {Notebook} notebook
   * @param {Cell[]} cells
   */
  function numbersOf(notebook, cells) {
    return cells.map(cell => notebook.widgets.indexOf(cell) + 1);
  }

  /**
   * Show a button below the cell. It exists in this page only: nothing of it is saved.
   * @param {NotebookPanel} panel
   * @param {Cell} sender
   * @param {Cell[]} cells
   * @param {Data} data
   */
  function showButton(panel, sender, cells, data) {
    const names = nameCells(numbersOf(panel.content, cells));
    const button = document.createElement('button');
    button.className = `${NAME}-restart jp-mod-styled jp-mod-accept`;
    button.style.margin = '4px 0 4px 70px';
    button.textContent = `Restart the kernel, and run ${names} again`;
    button.onclick = () => {
      button.remove();
      void restart(panel, cells, data);
    };
    sender.node.appendChild(button);
  }

  /**
   * Run cells. `runCells` goes to command mode, in which typed characters would be shortcuts.
   * @param {NotebookPanel} panel
   * @param {Cell[]} cells
   */
  function run(panel, cells) {
    const notebook = panel.content;
    const isTyping = notebook.mode === 'edit' && notebook.node.contains(document.activeElement);
    const done = actions.runCells(notebook, cells, panel.sessionContext);
    if (isTyping) notebook.mode = 'edit';
    return done;
  }

  /**
   * Restart the kernel, or change to the kernel of a name, and wait until it answers.
   * @param {NotebookPanel} panel
   * @param {string} [name]
   */
  async function startKernel(panel, name) {
    const session = panel.sessionContext;
    if (name) {
      await kernelspecs.refreshSpecs(); // it has just been made, and is shown by its title
      await session.changeKernel({ name });
    } else await session.restartKernel(); // asks nobody, and swallows its errors
    const kernel = session.session && session.session.kernel;
    const late = new Promise((_, no) => setTimeout(() => no(new Error('no answer')), 60000));
    if (!kernel || kernel.status === 'dead') throw new Error('the kernel did not come back');
    await Promise.race([kernel.info, late]);
    if (name) void save(panel.context); // so that it opens with that kernel the next time
  }

  /**
   * Restart the kernel, and run the cells that still exist.
   * @param {NotebookPanel} panel
   * @param {Cell[]} cells
   * @param {Data} data
   */
  async function restart(panel, cells, { reason, about, kernel: name }) {
    const state = stateOf(panel.content);
    if (state.busy) return;
    state.busy = true;
    try {
      await startKernel(panel, name);
      state.batch = [];
      state.reasons.add(reason);
      const rest = cells.filter(cell => !cell.isDisposed);
      const names = nameCells(numbersOf(panel.content, rest));
      notification?.info(
        `${name ? 'Switched to' : 'Kernel restarted for'} ${about}. ` +
          (rest.length ? `Running ${names}.` : 'Nothing was run.'),
        { autoClose: 8000 }
      );
      state.runs += 1;
      const done = run(panel, rest);
      state.busy = false; // the cells that run may need a restart again
      await done.finally(() => {
        state.runs -= 1;
      });
    } catch (error) {
      state.busy = false;
      const text = error instanceof Error ? error.message : String(error);
      notification?.error(`colab_magics could not go on after the restart: ${text}`);
    }
  }

  /**
   * Restart at once, or offer it below the cell; the reply is sent before anything happens.
   * @param {NotebookPanel} panel
   * @param {Data} data
   * @param {Cell} sender
   * @returns {Reply}
   */
  function onRestart(panel, data, sender) {
    const notebook = panel.content;
    const state = stateOf(notebook);
    if (data.now && state.reasons.has(data.reason)) return { status: 'again' };
    const setup = notebook.widgets[setupCells(sharedNotebook(panel))[0]];
    const batch = state.batch.map(entry => entry.cell);
    const cells = data.alone ? [] : planCells(setup, batch, sender);
    if (data.now) setTimeout(() => void restart(panel, cells, data));
    else showButton(panel, sender, cells, data);
    return { status: 'ok' };
  }

  /**
   * Carry out a request. Outside the run of its cell it is refused, and the reply says no more than
   * that we are here.
   * @param {NotebookPanel} panel
   * @param {Data} data
   * @param {Header} request
   * @returns {Promise<Reply> | Reply}
   */
  function handle(panel, data, request) {
    if (data.action === 'hello') return { status: 'ok' };
    const sender = findSender(panel.content, request);
    if (!sender) return { status: 'gone' };
    return data.action === 'restart' ? onRestart(panel, data, sender) : onDocument(panel, data);
  }

  /**
   * Reply to a message of the kernel, where this window is the one that it is for.
   * @param {NotebookPanel} panel
   * @param {Kernel} kernel
   * @param {Message} message
   */
  async function onOpen(panel, kernel, message) {
    const data = /** @type {{data?: Data}} */ (message.content).data || {};
    const request = /** @type {Header} */ (message.parent_header);
    // Every window on this kernel sees the message; it is for the one whose cell runs.
    if (request.session !== kernel.clientId) return;
    if (typeof data.nonce !== 'string' || data.nonce.length !== 32) return;
    let reply;
    try {
      reply = await handle(panel, data, request);
    } catch (error) {
      reply = { status: 'failed', why: String(error) };
    }
    // Our cell may have ended meanwhile, and another one may wait for what a person types.
    if (kernel.hasPendingInput) return;
    const value = JSON.stringify({ ...reply, nonce: data.nonce });
    // @ts-expect-error: the kernel needs no more of the parent's header than every message has
    kernel.sendInputReply({ status: 'ok', value }, request);
  }

  /**
   * Return a handler of the messages of a kernel, which calls `open` for each of our requests.
   *
   * A tab that was asleep gets old requests, each closed right behind it: their cells have ended.
   * A request that is late and stays open is new, and a clock was set meanwhile.
   * @param {(message: Message) => void} open
   */
  function requestHandler(open) {
    let offset = Infinity; // ms: this clock less the kernel's, and the way of a message
    /** @type {Set<unknown>} ids of comms */
    const pending = new Set();
    return (/** @type {unknown} */ _, /** @type {Message} */ message) => {
      const header = message.header;
      const content = /** @type {Data} */ (message.content);
      const age = Date.now() - Date.parse(header.date);
      if (age < offset) offset = age;
      if (header.msg_type === 'comm_close') pending.delete(content.comm_id);
      if (header.msg_type !== 'comm_open' || content.target_name !== TARGET) return;
      const patience = 1000 * ((content.data && content.data.patience) || 0);
      if (age - offset <= patience) return open(message);
      pending.add(content.comm_id);
      setTimeout(() => {
        if (!pending.delete(content.comm_id)) return;
        offset = age;
        open(message);
      }, BACKLOG);
    };
  }

  /**
   * Listen on the notebook's own connection, also where a console opened the kernel first and comms
   * are handled on its connection alone.
   * @param {NotebookPanel} panel
   */
  function watch(panel) {
    const session = panel.sessionContext;
    const kernels = new WeakSet();
    /** @param {Kernel | null | undefined} kernel */
    const connect = kernel => {
      if (!kernel || kernels.has(kernel)) return;
      kernels.add(kernel);
      kernel.registerCommTarget(TARGET, () => {});
      kernel.iopubMessage.connect(
        requestHandler(message => void onOpen(panel, kernel, message))
      );
    };
    trackSaves(panel.context);
    session.statusChanged.connect((_, status) => {
      const state = stateOf(panel.content);
      if (ENDED.has(status) && !state.busy) state.batch = []; // a restart by hand cancels them
    });
    session.kernelChanged.connect((_, change) => connect(change.newValue));
    connect(session.session && session.session.kernel);
  }

  const plugin = {
    id: `${NAME}:plugin`,
    description: 'Keeps the setup cell of colab_magics in the open notebook.',
    autoStart: true,
    /** @type {unknown[]} */
    requires: [],
    /**
     * @param {import('@jupyterlab/application').JupyterFrontEnd} app
     * @param {import('@jupyterlab/notebook').INotebookTracker} tracker
     */
    activate: (app, tracker) => {
      kernelspecs = app.serviceManager.kernelspecs;
      trackRuns();
      tracker.forEach(watch);
      tracker.widgetAdded.connect((_, panel) => watch(panel));
    }
  };

  const container = {
    /** @param {{[name: string]: Shared}} modules */
    init: modules => {
      scope = modules;
    },
    /** @param {string} module */
    get: async module => {
      if (module !== './extension') throw new Error(`${NAME}: there is no ${module}`);
      const notebook = await loadShared('@jupyterlab/notebook');
      actions = notebook.NotebookActions;
      notification = (await loadShared('@jupyterlab/apputils')).Notification;
      plugin.requires = [notebook.INotebookTracker];
      return () => ({ __esModule: true, default: plugin });
    }
  };
  const global = /** @type {any} */ (globalThis);
  if (global.module?.exports)
    // node, where tests call the functions that need no page
    global.module.exports = { isSetup, nameCells, planCells, readMetadata, writeMetadata };
  else {
    global._JUPYTERLAB = global._JUPYTERLAB || {};
    global._JUPYTERLAB[NAME] = container;
  }
})();
