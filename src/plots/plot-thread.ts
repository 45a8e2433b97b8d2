/** Body of the thread that draws plots: see `plotter.ts`. */
import { parentPort } from 'node:worker_threads';
import { Error as ErrorLevel, parse, View } from 'vega';
import { altTextOf } from './alt-text.js';
import type { Theme } from './colors.js';
import { type Drawing, specOf } from './drawing.js';
import { escapedXml } from './labels.js';

export interface PlotTask {
  readonly drawing: Drawing;
  readonly theme: Theme;
}

export type PlotReply = { readonly svg: string } | { readonly error: Error };

async function draw({ drawing, theme }: PlotTask): Promise<string> {
  const view = new View(parse(specOf(drawing, theme)), { renderer: 'none', logLevel: ErrorLevel });
  try {
    const svg = await view.toSVG();
    // For screen readers, where the SVG itself is opened.
    return svg.replace('>', () => `><title>${escapedXml(altTextOf(drawing))}</title>`);
  } finally {
    view.finalize();
  }
}

const port = parentPort;
if (!port) throw new Error('plot-thread.js runs as a worker thread only. This is a bug.');

port.on('message', (task: PlotTask) => {
  draw(task).then(
    (svg) => port.postMessage({ svg } satisfies PlotReply),
    (error: Error) => port.postMessage({ error } satisfies PlotReply),
  );
});
