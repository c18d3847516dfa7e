-- queue.sql: all that an application does.
CREATE EXTENSION product_optimizer;

-- The largest backlog comes first: the small shops stand behind it.
INSERT INTO job_items (instance_id, product_id, payload)
SELECT p.store, p.sku, jsonb_build_object('title', p.title, 'description', p.description, 'price', p.price)
  FROM shop.products p JOIN shop.stores s USING (store)
 ORDER BY s.backlog DESC, p.nth;
