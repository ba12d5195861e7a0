/** The pictures of the map, drawn here: no font and no picture is loaded from anywhere. */
import { colour, SHAPES, type State } from '../severity';

export const STATES: State[] = ['critical', 'major', 'minor', 'warning', 'ok'];
const ICON_PX = 44;

function canvas(size: number): CanvasRenderingContext2D {
  const element = document.createElement('canvas');
  element.width = element.height = size;
  const context = element.getContext('2d');
  if (!context) throw new Error('no 2d canvas');
  return context;
}

/** A device's mark: the state's shape and colour, with a light edge so that it stands out anywhere. */
export function mark(state: State): ImageData {
  const context = canvas(ICON_PX);
  context.translate(ICON_PX * 0.1, ICON_PX * 0.1);
  context.scale((ICON_PX * 0.8) / 16, (ICON_PX * 0.8) / 16);
  const shape = new Path2D(SHAPES[state]);
  context.lineJoin = 'round';
  context.lineWidth = 3;
  context.strokeStyle = colour('card');
  context.stroke(shape);
  // No alert is a ring, as in the legend.
  context.fillStyle = colour(state === 'ok' ? 'card' : state);
  context.fill(shape);
  if (state === 'ok') {
    context.lineWidth = 2.4;
    context.strokeStyle = colour(state);
    context.stroke(shape);
  }
  return context.getImageData(0, 0, ICON_PX, ICON_PX);
}

/** A disc with a short text: how many devices a cluster stands for, or which stop of a round it is. */
export function disc(text: string, state: string, size = 64): ImageData {
  const context = canvas(size);
  context.beginPath();
  context.arc(size / 2, size / 2, size / 2 - 3, 0, Math.PI * 2);
  context.fillStyle = colour(state);
  context.fill();
  context.lineWidth = 4;
  context.strokeStyle = colour('card');
  context.stroke();
  context.fillStyle = colour('card');
  context.font = `700 ${Math.round(size * (text.length > 3 ? 0.3 : text.length > 2 ? 0.36 : 0.42))}px system-ui, sans-serif`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillText(text, size / 2, size / 2 + 1);
  return context.getImageData(0, 0, size, size);
}
