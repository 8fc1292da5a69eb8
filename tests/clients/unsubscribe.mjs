// Uses a newsletter's link in a browser as a person does, with the keyboard, and tells what they saw.
import { chromium } from "playwright-core";
import { given, saw } from "./told.mjs";

const { program: executablePath, link, folder, presses } = given;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
try {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 390, height: 640 } });
  const page = await context.newPage();
  const complaints = [];
  const requests = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => requests.push(`${request.method()} ${new URL(request.url()).pathname}`));
  const seen = async (name) => {
    await page.screenshot({ path: `${folder}/${name}.png` });
    return {
      title: await page.title(),
      heading: await page.getByRole("heading", { level: 1 }).innerText(),
      buttons: await page.getByRole("button").allInnerTexts(),
      status: await page.getByRole("status").allInnerTexts(),
      scrolls: await page.locator("html").evaluate((html) => html.scrollWidth > html.clientWidth),
      color: await page.locator("body").evaluate((body) => getComputedStyle(body).color),
    };
  };
  const shown = (await page.goto(link)).status();
  const before = await seen("before");
  await page.keyboard.press("Tab");
  const focused = await page.locator(":focus").innerText();
  await page.screenshot({ path: `${folder}/focused.png` });
  if (presses) {
    await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
  }
  const after = await seen("after");
  const cookies = await context.cookies();
  saw({ shown, before, focused, after, address: page.url(), cookies, complaints, requests });
} finally {
  await browser.close();
}
