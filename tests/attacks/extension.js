/* A page with one notebook, as the front-end extension meets it in JupyterLab; see test_marker.py.
 *
 * `ask(texts, data, when)`: a kernel's message of these data to a notebook of code cells with these
 * texts; `when` is "running" where the cell that it comes from runs, "ended" where it has ended,
 * and "never" where nothing was run. Gives the answer, the cells afterwards, and the metadata.
 */
(() => {
  const signal = () => {
    const slots = [];
    return { connect: slot => slots.push(slot), emit: value => slots.forEach(slot => slot(null, value)) };
  };
  const shared = what => ({ 1: { loaded: true, get: async () => () => what } });

  function notebookOf(texts) {
    const cell = text => ({ cell_type: 'code', text, getSource: () => text, setSource(now) { this.text = now; } });
    const metadata = {};
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

  window.ask = async (texts, data, when) => {
    const notebook = notebookOf(texts);
    const run = { msg: { header: { msg_id: 'run' } } };
    const node = { querySelectorAll: () => [] };
    const widgets = [{ node, outputArea: { future: when === 'never' ? null : run } }];
    const kernel = { clientId: 'page', iopubMessage: signal(), registerCommTarget() {} };
    const answered = new Promise(done => { kernel.sendInputReply = content => done(content.value); });
    const context = {
      path: 'x.ipynb', saveState: signal(), save: async () => {}, contentsModel: { writable: true },
      model: { readOnly: false, sharedModel: notebook, toJSON: () => ({}) }
    };
    const panel = {
      context, content: { widgets },
      sessionContext: { statusChanged: signal(), kernelChanged: signal(), session: { kernel } }
    };
    const actions = { executionScheduled: signal(), executed: signal() };
    const container = window._JUPYTERLAB['colab-magics'];
    container.init({
      '@jupyterlab/notebook': shared({ NotebookActions: actions, INotebookTracker: {} }),
      '@jupyterlab/apputils': shared({ Notification: null })
    });
    const plugin = (await container.get('./extension'))().default;
    plugin.activate(
      { serviceManager: { kernelspecs: {} } },
      { forEach: call => call(panel), widgetAdded: signal() }
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
    return { answer, texts: notebook.cells.map(cell => cell.text), metadata: notebook.metadata };
  };
})();
