import { render } from "preact";
import { App } from "./app";
import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/shell.css";
import "./styles/query.css";
import "./styles/targets.css";

const root = document.getElementById("app");
if (root) render(<App />, root);
