/* The front-end half of colab_magics, for JupyterLab 4 and Notebook 7.
 *
 * A module-federation container written by hand: it ships no dependency and needs no build. The
 * kernel opens a comm of target "colab_magics"; the answer goes back as an input_reply on stdin,
 * since a comm message would be read only after the cell that waits for it.
 *
 * What it may do: for the notebook whose own connection delivered the message, and only while
 * that connection's request is the one being answered, read, insert, replace or delete the one
 * code cell whose leading comments carry our marker, and save. It runs nothing, sets no trust and
 * no metadata but our role, and does nothing when a notebook is opened.
 */
(() => {
  const NAME = 'colab-magics';
  const TARGET = 'colab_magics';
  const ROLE = { role: 'setup', version: 1 };
  const TAGS = ['nbval-ignore-output'];
  const SAVING = 4000; // ms that the running cell waits for the file; it may be saved later
  const MARKER = /^(?:#.*\n|[ \t]*\n)*#\s*colab_magics:setup v\d+\b/;
  let scope = null;

  /* A module that the application shares: {version: {get, loaded, ...}}. */
  async function shared(name) {
    const versions = scope[name];
    if (!versions) throw new Error(`${NAME}: ${name} is not shared by this application`);
    const key = Object.keys(versions).find(k => versions[k].loaded) || Object.keys(versions)[0];
    return (await versions[key].get())();
  }

  /* The places of all setup cells. */
  function setupCells(notebook) {
    const found = [];
    notebook.cells.forEach((cell, index) => {
      if (cell.cell_type === 'code' && MARKER.test(cell.getSource())) found.push(index);
    });
    return found;
  }

  function read(notebook) {
    const found = setupCells(notebook);
    if (found.length > 1) return { status: 'several', cells: found.map(i => i + 1) };
    return { status: 'ok', text: found.length ? notebook.cells[found[0]].getSource() : null };
  }

  /* Put the text where `expected` stands; null is no cell. */
  function put(notebook, text, expected) {
    if (text !== null && !MARKER.test(text)) return { status: 'refused' };
    const now = read(notebook);
    if (now.status !== 'ok') return now;
    if (now.text !== expected) return { status: 'conflict' };
    const index = setupCells(notebook)[0];
    notebook.transact(() => {
      if (text === null) notebook.deleteCell(index);
      else if (now.text !== null) notebook.cells[index].setSource(text);
      else {
        const metadata = { [TARGET]: ROLE, tags: TAGS };
        notebook.insertCell(0, { cell_type: 'code', source: text, metadata });
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

  async function save(context) {
    while (saves.has(context)) await saves.get(context).done;
    await context.save();
  }

  /* Save; whether it is done is said in time for the cell that waits, true or not. */
  function saved(context) {
    const late = new Promise(done => setTimeout(() => done(false), SAVING));
    const done = save(context).then(() => true, () => false);
    return Promise.race([done, late]);
  }

  async function answer(panel, data) {
    const context = panel.context;
    const notebook = context.model.sharedModel;
    if (data.action === 'hello') return { status: 'ok', path: context.path };
    if (data.action === 'read') return { ...read(notebook), path: context.path };
    if (data.action !== 'put') return { status: 'refused' };
    const file = context.contentsModel;
    if (context.model.readOnly || (file && file.writable === false)) return { status: 'read-only' };
    const done = put(notebook, data.text, data.expected);
    if (done.status === 'ok') done.saved = await saved(context);
    return { ...done, path: context.path };
  }

  async function onOpen(panel, kernel, message) {
    const data = message.content.data || {};
    /* Every window on this kernel sees the message; only the one that asked acts. */
    if (message.parent_header.session !== kernel.clientId) return;
    if (typeof data.nonce !== 'string' || data.nonce.length !== 32) return;
    let reply;
    try {
      reply = await answer(panel, data);
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
      kernel.iopubMessage.connect((_, message) => {
        const { header, content } = message;
        const age = Date.now() - Date.parse(header.date);
        if (age < way) way = age;
        if (header.msg_type !== 'comm_open' || content.target_name !== TARGET) return;
        /* A tab that was asleep gets old questions; their cell has ended, and says so. */
        const patience = 1000 * ((content.data && content.data.patience) || 0);
        if (age - way <= patience) void onOpen(panel, kernel, message);
      });
    };
    followSaves(panel.context);
    panel.sessionContext.kernelChanged.connect((_, change) => hook(change.newValue));
    hook(panel.sessionContext.session && panel.sessionContext.session.kernel);
  }

  const plugin = {
    id: `${NAME}:plugin`,
    description: 'Keeps the setup cell of colab_magics in the open notebook.',
    autoStart: true,
    requires: [],
    activate: (app, tracker) => {
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
      plugin.requires = [(await shared('@jupyterlab/notebook')).INotebookTracker];
      return () => ({ __esModule: true, default: plugin });
    }
  };
})();
