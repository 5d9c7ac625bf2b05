/* A page with one notebook, as the front-end extension meets it in JupyterLab; see test_marker.py.
 *
 * `ask(texts, data, when, metadata)`: a kernel's message of these data to a notebook of code cells
 * with these texts; `when` is "running" where the cell that it comes from, the first one, runs,
 * "ended" where it has ended, and "never" where nothing was run. Gives the answer, and the cells,
 * the metadata and how often it was saved afterwards.
 */
(() => {
  const signal = () => {
    const slots = [];
    return { connect: slot => slots.push(slot), emit: value => slots.forEach(slot => slot(null, value)) };
  };
  const shared = what => ({ 1: { loaded: true, get: async () => () => what } });

  function notebookOf(texts, metadata) {
    const cell = text => ({
      cell_type: 'code',
      text,
      getSource() { return this.text; },
      getMetadata: () => undefined,
      setSource(now) { // as with an editor, which has other places than a text of two line ends
        const before = this.text;
        this.text = now;
        if (before.includes('\r')) throw new RangeError('Invalid change range');
      },
      toJSON() { return { cell_type: 'code', source: this.text }; }
    });
    const cells = texts.map(cell);
    return {
      cells,
      metadata,
      getMetadata: key => (key === undefined ? metadata : metadata[key]),
      setMetadata: (key, value) => { metadata[key] = value; },
      deleteMetadata: key => { delete metadata[key]; },
      transact: change => change(),
      deleteCell: at => cells.splice(at, 1),
      insertCell: (at, { source }) => cells.splice(at, 0, cell(source))
    };
  }

  window.ask = async (texts, data, when, metadata = {}) => {
    const notebook = notebookOf(texts, metadata);
    let saves = 0;
    const run = { msg: { header: { msg_id: 'run' } } };
    const model = { sharedModel: notebook.cells[0] };
    const widgets = [{ model, outputArea: { future: when === 'never' ? null : run } }];
    const kernel = { clientId: 'page', iopubMessage: signal(), registerCommTarget() {} };
    const answered = new Promise(done => { kernel.sendInputReply = content => done(content.value); });
    const context = {
      path: 'x.ipynb', saveState: signal(), save: async () => { saves += 1; }, contentsModel: { writable: true },
      model: { readOnly: false, contentChanged: signal(), sharedModel: notebook, toJSON: () => ({ cells: notebook.cells.map(cell => cell.toJSON()), metadata }) }
    };
    const panel = {
      context, content: { widgets }, disposed: signal(),
      sessionContext: { statusChanged: signal(), kernelChanged: signal(), session: { kernel } }
    };
    const actions = { executionScheduled: signal(), executed: signal() };
    const container = window._JUPYTERLAB['colab-magics'];
    container.init({
      '@jupyterlab/notebook': shared({ NotebookActions: actions, INotebookTracker: {} }),
      '@jupyterlab/apputils': shared({ Notification: null }),
      '@jupyterlab/statusbar': shared({}),
      '@jupyterlab/settingregistry': shared({}),
      '@lumino/widgets': shared({ Widget: class { node = document.createElement('div'); } })
    });
    const plugin = (await container.get('./extension'))().default;
    plugin.activate(
      { serviceManager: { kernelspecs: {} }, commands: { addCommand() {} }, shell: { add() {} } },
      { forEach: call => call(panel), widgetAdded: signal(), currentChanged: signal() }
    );
    const about = { notebook: panel.content, cell: widgets[0] };
    if (when !== 'never') actions.executionScheduled.emit(about);
    if (when === 'ended') actions.executed.emit(about);
    kernel.iopubMessage.emit({
      header: { msg_type: 'comm_open', date: new Date().toISOString() },
      parent_header: { session: 'page', msg_id: 'run' },
      content: { comm_id: '1', target_name: 'colab_magics', data: { nonce: 'n'.repeat(32), ...data } }
    });
    const answer = JSON.parse(await answered);
    return { answer, texts: notebook.cells.map(cell => cell.text), metadata, saves };
  };
})();
