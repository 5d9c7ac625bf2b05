/**
 * The front-end half of colab_magics, for JupyterLab 4 and Notebook 7.
 *
 * A module-federation container written by hand: it ships no dependency and needs no build. The
 * kernel opens a comm of target "colab_magics"; the reply goes back as an input_reply on stdin,
 * because a comm message would be handled only after the cell that waits for it.
 *
 * It acts on one notebook, the one whose own kernel connection delivered the message, and only
 * while the cell that sent the message runs. It may then
 * - read, insert, replace or delete the one code cell whose leading comments carry our marker, or
 *   where none does, the one that has its role in the metadata and has lost the marker;
 * - set three values of the notebook's metadata (METADATA below), and save;
 * - send its own kernel the notebook as it is in the editor;
 * - restart the kernel, and run the setup cell and the cells that had been scheduled;
 * - offer below the setup cell, which has restored a checkpoint, to run the cells that are left;
 * - set the theme, and the indent, font size and line numbers of code cells (EDITOR below).
 * It never changes trust or other metadata, and runs nothing when a notebook is opened. A person
 * can have the setup cell checked or run, from the status bar and the command palette.
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
   * @typedef {import('@jupyterlab/notebook').INotebookTracker} Tracker
   * @typedef {{batch: {cell: Cell, done: boolean}[], reasons: Set<string>, busy: boolean,
   *   runs: number, toast: string, restart: (() => void) | null, offer: HTMLElement | null,
   *   setup: Verdict, question: string}} State of a notebook
   * @typedef {'ok' | 'differs' | 'unknown'} Verdict
   * @typedef {[Verdict, string, string][]} Rows a line of the setup cell each, and why
   * @typedef {{[version: string]: {get: () => Promise<() => any>, loaded?: unknown}}} Shared module
   */
  const NAME = 'colab-magics';
  const TARGET = 'colab_magics';
  const ROLE = { role: 'setup', version: 1 };
  const TAGS = ['nbval-ignore-output'];
  const SAVE_TIMEOUT = 4000; // ms that the running cell waits; the save may still end later
  const SYNC_TIMEOUT = 2000; // ms in which the hash of what the server has saved arrives
  const LARGE = 4e6; // bytes of a notebook; servers close a connection that gets a larger message
  const BACKLOG = 300; // ms in which messages that waited for this page arrive
  const STYLE = `
.${NAME}-error > .jp-OutputArea-output { display: none; }
.${NAME}-notice {
  flex: 1 1 auto;
  padding: 8px 12px;
  border-left: 4px solid #ef8e00;
  background: rgba(255, 160, 0, 0.16);
  color: var(--jp-content-font-color1);
  font-family: var(--jp-code-font-family);
  font-size: var(--jp-code-font-size);
  line-height: var(--jp-code-line-height);
}
.${NAME}-notice > button { display: block; margin-top: 8px; }
.${NAME}-status {
  height: 100%;
  padding: 0 8px;
  border: none;
  background: none;
  color: var(--jp-ui-font-color1);
  font: inherit;
  font-size: var(--jp-ui-font-size1);
  vertical-align: top;
  cursor: pointer;
}
.${NAME}-status:hover { background: var(--jp-layout-color3); }
.${NAME}-mark::before { content: '\\25cb'; color: var(--jp-ui-font-color2); }
.${NAME}-mark[data-state='ok']::before { content: '\\25cf'; color: #2e9e4f; }
.${NAME}-mark[data-state='differs']::before { content: '\\25cf'; color: #d98200; }
.${NAME}-popup {
  position: fixed;
  z-index: 10000;
  box-sizing: border-box;
  max-width: min(900px, 90vw);
  max-height: 60vh;
  margin: 4px 8px;
  padding: 12px 16px;
  overflow: auto;
  border: 1px solid var(--jp-border-color1);
  outline: none;
  background: var(--jp-layout-color1);
  box-shadow: var(--jp-elevation-z6);
  color: var(--jp-ui-font-color1);
  font: var(--jp-code-font-size) / 1.5 var(--jp-code-font-family);
}
.${NAME}-popup table { margin-top: 8px; border-collapse: collapse; }
.${NAME}-popup td { padding: 1px 16px 1px 0; vertical-align: top; }
.${NAME}-popup .${NAME}-state { white-space: nowrap; }
.${NAME}-popup button { display: block; margin-top: 12px; }
`;
  const STATE_TITLES = {
    ok: 'it holds in this kernel',
    differs: 'not all of it holds in this kernel',
    unknown: 'not checked here yet'
  };
  // What the kernel is asked for: `Rows` of setup/magic_status.py, where our package is loaded.
  const ROWS_TYPE = 'application/vnd.colab-magics.setup+json';
  const ROWS =
    "__import__('sys').modules['colab_magics'] and " +
    "__import__('colab_magics.setup.magic_status', fromlist=['*']).rows_for_page()";
  const ENDED = new Set(['restarting', 'autorestarting', 'dead']);
  // Python's `is_setup` does the same: tests/cases/markers.json is the table of both.
  const LINE_END = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/; // of Python's str.splitlines
  const MARKER = /^#[ \t]*colab_magics:setup v[0-9]+(?![0-9A-Za-z_])/;
  const LEADING = /^(?:#|[ \t]*$)/;
  const LOAD = /^%(?:re)?load_ext colab_magics[ \t\r]*$/;
  /**
   * The values that may be set in the notebook's metadata: where, and their form.
   * @type {{[name: string]: {key: string, name: string, test: RegExp}}}
   */
  const METADATA = {
    lock: { key: TARGET, name: 'lock', test: /^(?:lock-version = |gzip:|off$)/ },
    gpu: { key: 'colab', name: 'gpuType', test: /^[A-Z0-9]{1,16}$/ },
    github: { key: TARGET, name: 'github', test: /^(?:repository|path|gist)=[\w.~%+/&=-]+$/ },
    made_on: { key: TARGET, name: 'made_on', test: /^python=3\.[\w.~%+/&=-]+$/ },
    trust: { key: TARGET, name: 'trust', test: /^[0-9a-f]{64}(?: [0-9a-f]{64})*$/ }
  };
  const THEME = '@jupyterlab/apputils-extension:themes';
  const CELLS = ['@jupyterlab/notebook-extension:tracker', 'codeCellConfig'];
  /**
   * What `%setup editor` may set: the plugin, its key and the way in the value of that, and a test
   * of what a kernel sends. Setting a theme ends the following of the system's.
   * `unset` is what holds where nobody has set it.
   * @type {{[setting: string]: {place: string[], test: (value: any) => boolean, unset?: unknown}}}
   */
  const EDITOR = {
    theme: { place: [THEME, 'theme'], test: value => typeof value === 'string' },
    adaptive: { place: [THEME, 'adaptive-theme'], test: () => false },
    indent: {
      place: [...CELLS, 'indentUnit'],
      test: value => [1, 2, 4, 8].includes(value),
      unset: '4'
    },
    font_size: {
      place: [...CELLS, 'customStyles', 'fontSize'],
      test: value => Number.isInteger(value) && value >= 6 && value <= 48,
      unset: null
    },
    line_numbers: { place: [...CELLS, 'lineNumbers'], test: value => typeof value === 'boolean' }
  };
  const BEFORE = [`${NAME}:plugin`, 'before']; // what stood there before
  /** @type {{[name: string]: Shared}} */
  let scope = {};
  /** @type {typeof import('@jupyterlab/notebook').NotebookActions} */
  let actions;
  /** @type {typeof import('@jupyterlab/apputils').Notification | null} */
  let notification = null;
  /** @type {import('@jupyterlab/services').ServiceManager.IManager} */
  let services;
  /** @type {typeof import('@lumino/widgets')} */
  let lumino;

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
   * Tell whether a cell was a setup cell, and has lost its marker.
   *
   * Python's `was_setup` does the same: tests/cases/roles.json is the table of both.
   * @param {string} text
   * @param {any} role from the cell's metadata: anybody may have written anything there
   */
  function wasSetup(text, role) {
    return role?.role === 'setup' && role.version === 1 && text.split('\n').some(l => LOAD.test(l));
  }

  /**
   * Return the indexes of all setup cells; where none has the marker, of those that had it. Only
   * their text is read and written: what runs is never decided by metadata.
   * @param {SharedNotebook} notebook
   */
  function knownCells(notebook) {
    const marked = setupCells(notebook);
    if (marked.length) return marked;
    return notebook.cells.flatMap((cell, index) => {
      const known = cell.cell_type === 'code' && cell.getMetadata(TARGET);
      return known && wasSetup(cell.getSource(), known) ? [index] : [];
    });
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
    const { lock, github, made_on, trust } = METADATA;
    const notes = { made_on: text(made_on), trust: text(trust) };
    return { lock: text(lock), gpu, github: text(github), ...notes };
  }

  /**
   * Return the text of the setup cell (null where there is none) and the values of the metadata.
   * @param {SharedNotebook} notebook
   * @returns {Reply}
   */
  function read(notebook) {
    const indexes = knownCells(notebook);
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
    const index = knownCells(notebook)[0];
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
   * Where a notebook is edited together the server saves it too. Until the hash of that has arrived
   * here, a save takes it for a change on disk as well.
   * @param {Context} context
   */
  async function awaitServerSave(context) {
    const until = Date.now() + SYNC_TIMEOUT;
    while (context.model.collaborative && Date.now() < until) {
      const disk = await services.contents.get(context.path, { content: false, hash: true });
      const known = context.contentsModel?.hash;
      if (!known || !disk.hash || disk.hash === known) return;
      await new Promise(done => setTimeout(done, 50));
    }
  }

  /**
   * Save once the save that is under way has ended; a save requested meanwhile waits for ours.
   * @param {Context} context
   */
  async function save(context) {
    await awaitServerSave(context).catch(() => {}); // the save itself says what is wrong
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
      state = {
        batch: [],
        reasons: new Set(),
        busy: false,
        runs: 0,
        toast: '', // the id of the one that offers a restart
        restart: null, // what its button does
        offer: null, // the notice that offers to go on after a checkpoint was restored
        setup: 'unknown', // what is known of the setup cell in this kernel
        question: '' // the id of our own request to the kernel
      };
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
      withdraw(notebook);
    });
    actions.executed.connect((_, { notebook, cell, success }) => {
      const state = stateOf(notebook);
      const entry = state.batch.find(other => other.cell === cell && !other.done);
      if (entry) entry.done = true;
      if (isSetup(cell.model.sharedModel.getSource())) state.setup = success ? 'ok' : 'differs';
      refresh();
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
   * Say what is run again, in words. Numbers are the places of cells, counted from 1.
   * @param {number[]} numbers of the cells to run
   * @param {number} setup 0 where there is none
   * @param {number} sender the cell that a person looks at
   * @param {number[]} all of the notebook's cells that have code
   */
  function describeRun(numbers, setup, sender, all) {
    if (numbers.length > 2 && all.every(number => numbers.includes(number))) return 'Run All';
    const rest = numbers.filter(number => number !== setup);
    const words = numbers.includes(setup) ? ['the setup cell'] : [];
    if (rest.length === 1 && rest[0] === sender) words.push('this cell');
    else if (rest.length) words.push(nameCells(rest));
    return `run ${words.join(' and ')}`;
  }

  /**
   * @param {NotebookPanel} panel
   * @param {Cell[]} cells
   * @param {Cell} sender
   */
  function describeCells(panel, cells, sender) {
    const widgets = panel.content.widgets;
    /** @param {Cell} cell */
    const place = cell => widgets.indexOf(cell) + 1;
    const isCode = (/** @type {Cell} */ { model }) =>
      model.type === 'code' && model.sharedModel.getSource().trim() !== '';
    const setup = (setupCells(sharedNotebook(panel))[0] ?? -1) + 1;
    return describeRun(cells.map(place), setup, place(sender), widgets.filter(isCode).map(place));
  }

  /**
   * Take back what is offered, but for a restart's notice, which goes with the cell's output.
   * @param {Notebook} notebook
   */
  function withdraw(notebook) {
    const state = stateOf(notebook);
    if (state.toast) notification?.dismiss(state.toast);
    state.toast = '';
    state.restart = null;
    state.offer?.parentElement?.classList.remove(`${NAME}-error`);
    state.offer?.remove();
    state.offer = null;
  }

  /**
   * Return the output that shows the error which a cell has ended with.
   * @param {Cell} cell
   */
  function findError(cell) {
    const { model, widgets } = /** @type {CodeCell} */ (cell).outputArea;
    for (let at = model.length - 1; at >= 0; at--)
      if (model.get(at).type === 'error') return widgets[at];
    return undefined;
  }

  /**
   * @template {keyof HTMLElementTagNameMap} T
   * @param {T} tag
   * @param {string} className
   * @param {(string | Node)[]} content
   */
  function element(tag, className, ...content) {
    const node = Object.assign(document.createElement(tag), { className });
    node.append(...content);
    return node;
  }

  /**
   * Draw an output as a notice with a button in it.
   * @param {HTMLElement} output
   * @param {string} text
   * @param {string} label
   * @param {() => void} go
   */
  function drawNotice(output, text, label, go) {
    const button = element('button', `${NAME}-restart jp-mod-styled jp-mod-accept`, label);
    button.onclick = go;
    const notice = element('div', `${NAME}-notice`, text, button);
    output.classList.add(`${NAME}-error`);
    output.append(notice);
    return notice;
  }

  /**
   * Draw the error as a notice with a button in it; a toast has the button too, where cells further
   * down were stopped. Both exist in this page only: nothing of them is saved.
   * @param {NotebookPanel} panel
   * @param {Cell} sender
   * @param {Cell[]} cells
   * @param {Data} data
   */
  function showNotice(panel, sender, cells, data) {
    const label = `Restart and ${describeCells(panel, cells, sender)} again`;
    const text = String(data.text).slice(0, 300);
    const go = () => void restart(panel, cells, sender, data);
    const error = data.text && findError(sender); // none of an older release in the kernel
    if (error) drawNotice(error.node, text, label, go);
    const state = stateOf(panel.content);
    withdraw(panel.content);
    state.restart = go;
    if (error && state.batch.length < 2) return;
    const actions = [{ label, callback: go, displayType: /** @type {'accent'} */ ('accent') }];
    state.toast = notification?.warning(text, { autoClose: false, actions }) || '';
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
      await services.kernelspecs.refreshSpecs(); // it has just been made, and is shown by its title
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
   * @param {Cell} sender
   * @param {Data} data
   */
  async function restart(panel, cells, sender, { reason = '', about, kernel: name }) {
    const state = stateOf(panel.content);
    if (state.busy) return;
    state.busy = true;
    withdraw(panel.content);
    try {
      await startKernel(panel, name);
      state.batch = [];
      state.reasons.add(reason);
      const rest = cells.filter(cell => !cell.isDisposed);
      const what = name ? `Switched to ${about}` : 'Kernel restarted';
      const done = about && !name ? `${what} for ${about}` : what;
      const next = rest.length ? `, to ${describeCells(panel, rest, sender)} again.` : '.';
      notification?.info(done + next, { autoClose: 8000 });
      state.runs += 1;
      const runs = run(panel, rest);
      state.busy = false; // the cells that run may need a restart again
      await runs.finally(() => {
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
    if (data.now) setTimeout(() => void restart(panel, cells, sender, data));
    else showNotice(panel, sender, cells, data);
    return { status: 'ok' };
  }

  // ---- continue after a checkpoint was restored ----------------------------------------------

  /**
   * Offer below the setup cell to run cells: the kernel knows which need not run again. Where a
   * cell was changed meanwhile, the setup cell runs instead, and the kernel offers anew.
   * @param {NotebookPanel} panel
   * @param {Data} data
   * @param {Cell} sender
   * @returns {Reply}
   */
  function onContinue(panel, data, sender) {
    const notebook = panel.content;
    if (!isSetup(sender.model.sharedModel.getSource()) || !Array.isArray(data.cells))
      return { status: 'refused' };
    const byId = new Map(notebook.widgets.map(cell => [cell.model.id, cell]));
    /** @type {(Cell | undefined)[]} */
    const cells = data.cells.map(id => byId.get(id));
    const output = /** @type {CodeCell} */ (sender).outputArea.widgets.slice(-1)[0];
    if (!cells.length || !output || cells.some(cell => cell?.model.type !== 'code'))
      return { status: 'refused' };
    if (stateOf(notebook).batch.some(entry => !entry.done && entry.cell !== sender))
      return { status: 'busy' }; // Run All is under way
    const before = readSources(notebook);
    const [text, label] = [data.text, data.label].map(words => String(words).slice(0, 300));
    withdraw(notebook);
    stateOf(notebook).offer = drawNotice(output.node, text, label, () => {
      const isSame = readSources(notebook) === before;
      void run(panel, isSame ? /** @type {Cell[]} */ (cells) : [sender]);
    });
    return { status: 'ok' };
  }

  /** @param {Notebook} notebook */
  function readSources(notebook) {
    const code = notebook.widgets.filter(cell => cell.model.type === 'code');
    return JSON.stringify(code.map(({ model }) => [model.id, model.sharedModel.getSource()]));
  }

  // ---- the setup cell in the status bar and the command palette ------------------------------

  /** @type {Tracker} */
  let tracker;
  /** @type {HTMLButtonElement} */
  let statusButton;
  let refreshing = 0;

  /**
   * Return how many magics and commands a setup cell has, but for what loads the extension.
   * @param {string} text
   */
  function countLines(text) {
    return text.split(LINE_END).filter(line => /^(?:!|%(?!(?:re)?load_ext\s))/.test(line)).length;
  }

  /**
   * Return the cell in the notebook in front that is its setup cell.
   * @returns {{panel: NotebookPanel, cell: Cell} | null}
   */
  function currentSetup() {
    const panel = tracker.currentWidget;
    if (!panel || !panel.context.isReady) return null;
    const cell = panel.content.widgets[setupCells(sharedNotebook(panel))[0]];
    return cell ? { panel, cell } : null;
  }

  /** Draw the status anew, soon: a person may be typing. */
  function refresh() {
    clearTimeout(refreshing);
    refreshing = setTimeout(() => {
      const target = currentSetup();
      statusButton.hidden = !target;
      if (!target) return;
      const { setup } = stateOf(target.panel.content);
      const mark = element('span', `${NAME}-mark`);
      mark.dataset.state = setup;
      const count = countLines(target.cell.model.sharedModel.getSource());
      const text = setup === 'differs' ? ` ${count} differs` : ` ${count}`;
      statusButton.replaceChildren('Setup ', mark, text);
      statusButton.title = `Setup cell: ${STATE_TITLES[setup]}. Click for its lines.`;
    }, 100);
  }

  /**
   * Ask the kernel how each line stands. Nothing runs but our own check, where it is loaded: what
   * is imported could come from the folder of the notebook.
   * @param {NotebookPanel} panel
   * @param {Cell} cell the setup cell
   * @returns {Promise<Rows | string>} why there are none
   */
  async function askRows(panel, cell) {
    const kernel = panel.sessionContext.session?.kernel;
    if (!kernel) return 'There is no kernel.';
    const question = { user_expressions: { rows: ROWS }, silent: true, store_history: false };
    const request = { code: '', ...question };
    const future = kernel.requestExecute(request, true, { cellId: cell.model.id });
    const state = stateOf(panel.content);
    state.question = future.msg.header.msg_id;
    try {
      const content = /** @type {Data} */ ((await future.done).content);
      const answer = content.user_expressions?.rows;
      if (answer?.status === 'ok') return answer.data[ROWS_TYPE];
      if (answer?.ename === 'KeyError') return 'The setup cell has not run in this kernel.';
      return String(answer?.evalue || content.evalue || 'The kernel did not answer.');
    } finally {
      state.question = '';
    }
  }

  /** Close what `openPopup` has opened. */
  let closePopup = () => {};

  /**
   * Open a small window beside the status; Escape or a click elsewhere closes it.
   * @param {NotebookPanel} panel
   * @returns {HTMLElement} to be filled
   */
  function openPopup(panel) {
    closePopup();
    const anchor = statusButton.isConnected ? statusButton : panel.toolbar.node;
    const place = anchor.getBoundingClientRect();
    const popup = element('div', `${NAME}-popup`);
    popup.tabIndex = -1;
    popup.setAttribute('role', 'dialog');
    popup.setAttribute('aria-label', 'Setup cell');
    const isBelow = place.top < innerHeight / 2;
    if (isBelow) popup.style.top = `${place.bottom}px`;
    else popup.style.bottom = `${innerHeight - place.top}px`;
    if (place.left < innerWidth / 2) popup.style.left = `${place.left}px`;
    else popup.style.right = `${innerWidth - place.right}px`;
    const before = document.activeElement;
    /** @param {Event} event */
    const onPress = event => {
      if (!popup.contains(/** @type {Node} */ (event.target))) closePopup();
    };
    closePopup = () => {
      document.removeEventListener('pointerdown', onPress, true);
      const hadFocus = popup.contains(document.activeElement);
      popup.remove();
      if (hadFocus && before instanceof HTMLElement) before.focus();
      closePopup = () => {};
    };
    popup.onkeydown = event => {
      event.stopPropagation(); // the notebook has shortcuts of one letter
      if (event.key === 'Escape') closePopup();
    };
    document.addEventListener('pointerdown', onPress, true);
    document.body.append(popup);
    popup.focus();
    return popup;
  }

  /**
   * Show each line of the setup cell, and whether it holds in this kernel.
   * @param {{panel: NotebookPanel, cell: Cell}} target
   */
  async function check({ panel, cell }) {
    const popup = openPopup(panel);
    const isBusy = panel.sessionContext.session?.kernel?.status === 'busy';
    popup.append(isBusy ? 'Waiting for the cell that runs ...' : 'Checking ...');
    const rows = await askRows(panel, cell).catch(error => String(error));
    const button = element('button', 'jp-mod-styled jp-mod-accept', 'Run the setup cell');
    button.onclick = () => {
      closePopup();
      void run(panel, [cell]);
    };
    if (typeof rows === 'string') return popup.replaceChildren(rows, button);
    const failed = rows.filter(([state]) => state !== 'ok');
    const differs = rows.some(([state]) => state === 'differs');
    stateOf(panel.content).setup = differs ? 'differs' : failed.length ? 'unknown' : 'ok';
    refresh();
    const lines = rows.map(([state, line, reason]) => {
      const mark = element('span', `${NAME}-mark`);
      mark.dataset.state = state;
      const cells = [element('td', `${NAME}-state`, mark, ` ${state}`), element('td', '', line)];
      return element('tr', '', ...cells, element('td', '', state === 'ok' ? '' : reason));
    });
    const count = failed.length ? `${rows.length - failed.length} of ${rows.length}` : 'All';
    const head = `${count} lines of the setup cell hold`;
    popup.replaceChildren(element('b', '', head), element('table', '', ...lines));
    if (differs) popup.append(button);
  }

  /**
   * Restart the kernel and go on: as a notice offers it, else with the setup cell and what runs.
   * @param {{panel: NotebookPanel, cell: Cell}} target
   */
  function restartAndContinue({ panel, cell }) {
    const state = stateOf(panel.content);
    const running = state.batch.filter(entry => !entry.done).map(entry => entry.cell);
    const byDefault = () => void restart(panel, planCells(cell, running, cell), cell, {});
    (state.restart || byDefault)();
  }

  /**
   * Add the commands, and the status where there is a place for it.
   * @param {import('@jupyterlab/application').JupyterFrontEnd} app
   * @param {import('@jupyterlab/apputils').ICommandPalette | null} palette
   * @param {import('@jupyterlab/statusbar').IStatusBar | null} statusBar
   */
  function addCommands(app, palette, statusBar) {
    /** @type {[string, string, (target: {panel: NotebookPanel, cell: Cell}) => unknown][]} */
    const commands = [
      ['check', 'Check the Setup Cell', check],
      ['run', 'Run the Setup Cell', ({ panel, cell }) => run(panel, [cell])],
      ['restart', 'Restart Kernel, Run the Setup Cell and Continue', restartAndContinue]
    ];
    for (const [name, label, execute] of commands) {
      const command = `${NAME}:${name}`;
      const options = {
        label,
        isEnabled: () => currentSetup() !== null,
        execute: () => {
          const target = currentSetup();
          if (target) void execute(target);
        }
      };
      app.commands.addCommand(command, options);
      palette?.addItem({ command, category: 'Setup Cell' });
    }
    statusButton = element('button', `${NAME}-status`);
    statusButton.hidden = true;
    statusButton.onclick = () => void app.commands.execute(`${NAME}:check`);
    const item = new lumino.Widget();
    item.id = `${NAME}-status`;
    item.node.append(statusButton);
    if (statusBar) statusBar.registerStatusItem(item.id, { item, align: 'left', rank: 3 });
    else app.shell.add(item, 'menu', { rank: 9000 }); // in Notebook 7, beside the kernel's name
    tracker.currentChanged.connect(refresh);
    refresh();
  }

  // ---- %setup editor ------------------------------------------------------------------------

  /** @type {import('@jupyterlab/settingregistry').ISettingRegistry | null} */
  let settings = null;
  /** @type {import('@jupyterlab/apputils').IThemeManager | null} */
  let themes = null;

  /**
   * Return the values to set, or null where one is not what `%setup editor` may set.
   * @param {unknown} values
   * @param {{all: readonly string[], dark: string, light: string}} known themes
   * @returns {{[setting: string]: unknown} | null}
   */
  function checkEditor(values, known) {
    if (!values || typeof values !== 'object' || Array.isArray(values)) return null;
    /** @type {{[setting: string]: unknown}} */
    const checked = {};
    for (const [name, value] of Object.entries(values)) {
      if (!Object.hasOwn(EDITOR, name) || !EDITOR[name].test(value)) return null;
      checked[name] = name === 'indent' ? `${value}` : value;
    }
    if (checked.theme === undefined) return checked;
    const { dark, light, all } = known;
    const theme = { dark, light }[String(checked.theme)] ?? checked.theme;
    return all.some(one => one === theme) ? { ...checked, theme, adaptive: false } : null;
  }

  /**
   * Return an object with another value at the end of a path; undefined removes it, and what is
   * then empty with it.
   * @param {unknown} object
   * @param {string[]} path
   * @param {unknown} value
   * @returns {unknown}
   */
  function withValue(object, [key, ...path], value) {
    if (key === undefined) return value;
    const isObject = object && typeof object === 'object' && !Array.isArray(object);
    const { [key]: old, ...others } = /** @type {Data} */ (isObject ? object : {});
    const present = withValue(old, path, value);
    if (present !== undefined) return { ...others, [key]: present };
    return Object.keys(others).length ? others : undefined;
  }

  /**
   * Return what a person has set at a place, and what holds there.
   * @param {string[]} place
   */
  async function readSetting([plugin, key, ...path]) {
    const registry = /** @type {NonNullable<typeof settings>} */ (settings);
    const { user, composite } = await registry.get(plugin, key);
    /** @param {any} value */
    const inside = value => path.reduce((at, name) => at?.[name], value);
    return { user: inside(user), value: inside(composite) };
  }

  /**
   * @param {string[]} place
   * @param {unknown} value undefined: as if nobody had set it
   */
  async function writeSetting([plugin, key, ...path], value) {
    const registry = /** @type {NonNullable<typeof settings>} */ (settings);
    const present = withValue((await registry.get(plugin, key)).user, path, value);
    if (present === undefined) await registry.remove(plugin, key);
    else await registry.set(plugin, key, /** @type {JSONObject} */ (present));
  }

  /**
   * Set values; what stood before is kept in a setting of ours, so that it outlives this page.
   * @param {{[setting: string]: unknown}} values
   */
  async function setEditor(values) {
    const before = { .../** @type {Data} */ ((await readSetting(BEFORE)).user) };
    const changes = [];
    for (const [name, value] of Object.entries(values)) {
      const present = await readSetting(EDITOR[name].place);
      if (present.value === value) continue;
      if (!Object.hasOwn(before, name)) before[name] = present.user ?? null;
      changes.push(name);
    }
    if (changes.length) await writeSetting(BEFORE, before);
    for (const name of changes) await writeSetting(EDITOR[name].place, values[name]);
  }

  /** Put back what stood before; return whether there was something. */
  async function resetEditor() {
    const before = /** @type {Data | undefined} */ ((await readSetting(BEFORE)).user);
    for (const [name, { place, unset }] of Object.entries(EDITOR)) {
      if (!before || !Object.hasOwn(before, name)) continue;
      // Open editors keep an option that is no more in their configuration.
      if (before[name] === null && unset !== undefined) await writeSetting(place, unset);
      await writeSetting(place, before[name] ?? undefined);
    }
    await writeSetting(BEFORE, undefined);
    return before !== undefined;
  }

  /**
   * Show, set or put back the settings of the editor: these, and no other.
   * @param {Data} data
   * @returns {Promise<Reply>}
   */
  async function onEditor(data) {
    if (!settings || !themes) return { status: 'no-settings' };
    const all = [...themes.themes];
    /** @type {Reply} */
    const reply = { status: 'ok', themes: all };
    if (data.reset === true) reply.undone = await resetEditor();
    else if (data.values !== undefined) {
      const [dark, light] = ['JupyterLab Dark', 'JupyterLab Light'];
      const values = checkEditor(data.values, { all, dark, light });
      if (!values) return { status: 'refused', themes: all };
      await setEditor(values);
    }
    for (const name of ['theme', 'indent', 'font_size', 'line_numbers'])
      reply[name] = (await readSetting(EDITOR[name].place)).value ?? null;
    return reply;
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
    const isOurs = request.msg_id === stateOf(panel.content).question;
    if (isOurs && data.action === 'read') return onDocument(panel, data);
    if (isOurs && data.action === 'editor') return onEditor({}); // shows them
    const sender = findSender(panel.content, request);
    if (!sender) return { status: 'gone' };
    if (data.action === 'editor') return onEditor(data);
    if (data.action === 'continue') return onContinue(panel, data, sender);
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
    const notebook = panel.content; // which the panel has no more once it is disposed
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
      const state = stateOf(notebook);
      if (!ENDED.has(status)) return;
      forgetSetup();
      if (state.busy) return;
      state.batch = []; // a restart by hand cancels them
      withdraw(notebook);
    });
    panel.disposed.connect(() => withdraw(notebook));
    session.kernelChanged.connect((_, change) => {
      forgetSetup();
      connect(change.newValue);
    });
    const forgetSetup = () => {
      stateOf(notebook).setup = 'unknown';
      refresh();
    };
    panel.context.model.contentChanged.connect(refresh);
    connect(session.session && session.session.kernel);
  }

  const plugin = {
    id: `${NAME}:plugin`,
    description: 'Keeps the setup cell of colab_magics in the open notebook.',
    autoStart: true,
    /** @type {unknown[]} */
    requires: [],
    /** @type {unknown[]} */
    optional: [],
    /**
     * @param {import('@jupyterlab/application').JupyterFrontEnd} app
     * @param {Tracker} notebooks
     * @param {import('@jupyterlab/apputils').ICommandPalette | null} palette
     * @param {import('@jupyterlab/statusbar').IStatusBar | null} statusBar
     * @param {typeof settings} registry
     * @param {typeof themes} themeManager
     */
    activate: (app, notebooks, palette, statusBar, registry, themeManager) => {
      services = app.serviceManager;
      tracker = notebooks;
      [settings, themes] = [registry, themeManager];
      document.head.append(Object.assign(document.createElement('style'), { textContent: STYLE }));
      trackRuns();
      addCommands(app, palette, statusBar);
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
      lumino = await loadShared('@lumino/widgets');
      const utilities = await loadShared('@jupyterlab/apputils');
      notification = utilities.Notification;
      const statusBar = (await loadShared('@jupyterlab/statusbar')).IStatusBar;
      plugin.requires = [notebook.INotebookTracker];
      const { ISettingRegistry } = await loadShared('@jupyterlab/settingregistry');
      const { ICommandPalette, IThemeManager } = utilities;
      plugin.optional = [ICommandPalette, statusBar, ISettingRegistry, IThemeManager];
      return () => ({ __esModule: true, default: plugin });
    }
  };
  const global = /** @type {any} */ (globalThis);
  if (global.module?.exports)
    // node, where tests call the functions that need no page
    global.module.exports = {
      checkEditor,
      countLines,
      describeRun,
      isSetup,
      nameCells,
      planCells,
      readMetadata,
      wasSetup,
      withValue,
      writeMetadata
    };
  else {
    global._JUPYTERLAB = global._JUPYTERLAB || {};
    global._JUPYTERLAB[NAME] = container;
  }
})();
