// How many messages are unread, where it is seen while another tab is in front: the title and the icon.

const SIZE = 64;
const icon = document.querySelector("link[rel=icon]");
const plain = icon.href;
const drawn = new Image();
drawn.src = plain;
let shown = 0;

export function badge(unread, title) {
  document.title = unread ? `(${unread > 99 ? "99+" : unread}) ${title}` : title;
  if (unread === shown) return;
  shown = unread;
  drawn.decode().then(() => (icon.href = shown ? draw(shown) : plain), () => {});
}

function draw(unread) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE });
  const pen = canvas.getContext("2d");
  pen.drawImage(drawn, 0, 0, SIZE, SIZE);
  pen.fillStyle = "#d3302f";
  pen.strokeStyle = "#fff";
  pen.lineWidth = 4;
  pen.beginPath();
  pen.arc(44, 20, 18, 0, 2 * Math.PI);
  pen.fill();
  pen.stroke();
  pen.fillStyle = "#fff";
  pen.font = `700 ${unread > 9 ? 22 : 28}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText(unread > 99 ? "99" : unread, 44, 22);
  return canvas.toDataURL();
}
