"""Backpropagation through one neuron, gate by gate.

    f(w, x) = 1 / (1 + exp(-(w0 x0 + w1 x1 + w2)))

Every gate only knows its own inputs and its own derivative. Going forward it computes its value; going backward it
multiplies the gradient that comes in from the right by that derivative and passes it on to the left (the chain rule).
The program prints each gate's value and gradient and draws the whole circuit.

    python examples/backprop_circuit.py
"""

from __future__ import annotations

import argparse

import tensorgrad as tg


def main(argv: list[str] | None = None) -> tg.viz.Graph:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--output", default="backprop_circuit.svg", help="where to draw the circuit")
    args = parser.parse_args(argv)

    def number(value: float) -> tg.Tensor:
        return tg.tensor(value, device=args.device, requires_grad=True)

    w0, x0 = number(2.0), number(-1.0)
    w1, x1 = number(-3.0), number(-2.0)
    w2 = number(-3.0)

    # The tape forgets what no gradient rule needs; recording keeps every value, for us to look at.
    with tg.viz.record() as recording:
        f = 1 / (1 + tg.exp(-(w0 * x0 + w1 * x1 + w2)))
    circuit = tg.viz.graph(f, {w0: "w0", x0: "x0", w1: "w1", x1: "x1", w2: "w2", f: "f"}, recording)

    print("gate   value  gradient")
    for step in reversed(circuit.steps):  # as backpropagation meets them: from f to the inputs
        print(f"{step.label:<5} {step.value.item():6.2f} {step.grad.item():9.2f}")

    # The same gradients, as a training program gets them.
    f.backward()
    print(f"\ndf/dw = ({w0.grad.item():.2f}, {w1.grad.item():.2f}, {w2.grad.item():.2f})")
    print(f"df/dx = ({x0.grad.item():.2f}, {x1.grad.item():.2f})")

    circuit.save(args.output)
    print(f"\nThe circuit, values above the wires and gradients below: {args.output}")
    return circuit


if __name__ == "__main__":
    main()
