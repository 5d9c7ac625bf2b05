/* Calls the functions of the front-end extension that need no page, in node.
 *
 * Standard input: [extension's path, [[function, argument, ...], ...]] as JSON; standard output: the
 * results. A notebook is played by its metadata, cells by their numbers; null is no cell.
 */
'use strict';
const fs = require('fs');
const vm = require('vm');

const [path, calls] = JSON.parse(fs.readFileSync(0, 'utf8'));
const context = vm.createContext({ module: { exports: {} } });
vm.runInContext(fs.readFileSync(path, 'utf8'), context);
const parts = context.module.exports;

const notebookOf = metadata => ({
  getMetadata: key => metadata[key],
  setMetadata: (key, value) => {
    metadata[key] = value;
  },
  deleteMetadata: key => {
    delete metadata[key];
  }
});

const play = {
  isSetup: parts.isSetup,
  wasSetup: parts.wasSetup,
  nameCells: parts.nameCells,
  countLines: parts.countLines,
  describeRun: parts.describeRun,
  checkEditor: parts.checkEditor,
  withValue: (object, path, value) => parts.withValue(object, path, value) ?? null,
  readMetadata: metadata => parts.readMetadata(notebookOf(metadata)),
  writeMetadata: (metadata, name, value) => {
    const { status } = parts.writeMetadata(notebookOf(metadata), name, value);
    return { status, metadata };
  },
  planCells: (setup, batch, sender, disposed) => {
    const cells = new Map();
    const cell = number => {
      if (number === null) return undefined;
      if (!cells.has(number))
        cells.set(number, { number, isDisposed: disposed.includes(number) });
      return cells.get(number);
    };
    return parts.planCells(cell(setup), batch.map(cell), cell(sender)).map(({ number }) => number);
  }
};

process.stdout.write(JSON.stringify(calls.map(([name, ...rest]) => play[name](...rest))));
