// The page: a card for each client, and the verdict over all of them.

import { kinds } from "./clients.js";
import { compare } from "./transcripts.js";

const SHOWN = 60; // messages in a card; the transcript that is compared has all of them
const TELL = { same: "read the same, in the same order", behind: "some are still reading", differ: "they do not agree" };

const $ = (id) => document.getElementById(id);
const room = location.hash.slice(1).replace(/[^\w-]/g, "") || crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
const topic = `room:${room}`;
const cards = kinds.map(makeCard);
let drawing = false;

function makeCard({ name, how, open }) {
  const article = $("card").content.firstElementChild.cloneNode(true);
  const [input, list, state] = ["input", "ol", ".state"].map((selector) => article.querySelector(selector));
  article.querySelector("h2").textContent = name;
  article.querySelector(".how").textContent = how;
  input.setAttribute("aria-label", `What ${name} says`);
  list.setAttribute("aria-label", `What ${name} has read`);
  $("cards").append(article);

  const card = { name, article, list, ids: [], waiting: [], isIn: false };
  const client = open(topic, name, (said) => hear(card, said), tellState);
  card.say = (text) => card.isIn && client.say({ text, id: `${Date.now()} ${Math.random()}` });
  article.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (input.value.trim()) card.say(input.value.trim());
    input.value = "";
  });

  function tellState(text) {
    card.isIn = text === "in the room";
    article.dataset.in = card.isIn;
    state.textContent = text;
    drawSoon();
  }
  return card;
}

function hear(card, said) {
  card.ids.push(said.id);
  card.waiting.push(said);
  drawSoon();
}

/** Once a frame is enough, however much comes. */
function drawSoon() {
  if (drawing) return;
  drawing = true;
  setTimeout(draw, document.hidden ? 250 : 16);
}

function draw() {
  drawing = false;
  for (const card of cards) drawCard(card);
  const inside = cards.filter((card) => card.isIn).length;
  const count = Math.max(...cards.map((card) => card.ids.length));
  const verdict = compare(cards.map((card) => card.ids));
  $("verdict").dataset.state = inside < cards.length ? "waiting" : verdict;
  $("verdict").textContent =
    inside < cards.length
      ? `${inside} of ${cards.length} clients are in …`
      : count
        ? `${cards.length} clients, ${count} ${count === 1 ? "message" : "messages"}: ${TELL[verdict]}`
        : `All ${cards.length} clients are in. Nothing has been said yet.`;
}

function drawCard({ list, waiting, name }) {
  if (!waiting.length) return;
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  for (const { who, text } of waiting.splice(0).slice(-SHOWN)) {
    const item = document.createElement("li");
    const author = document.createElement("b");
    author.textContent = who;
    item.classList.toggle("own", who === name);
    item.append(author, " ", text);
    list.append(item);
  }
  while (list.children.length > SHOWN) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

$("all").addEventListener("submit", (event) => {
  event.preventDefault();
  for (const card of cards) card.say(`hello from ${card.name}`);
});
$("storm").addEventListener("click", () => {
  for (let number = 1; number <= 100; number += 1) cards[number % cards.length].say(`message ${number}`);
});

history.replaceState(null, "", `#${room}`);
$("topic").textContent = topic;
$("curl").textContent = `curl -N -H 'Accept: text/event-stream' '${location.origin}/topics/${topic}?name=curl'`;
